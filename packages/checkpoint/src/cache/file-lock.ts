/**
 * A file lock lets one process at a time make a file that several want. It is a file that only one can create; its owner
 * touches it while it works, so that the lock of a process that died is seen to be dead, on whichever machine it ran.
 */
import { randomUUID } from "node:crypto";
import { readFile, rm, stat, utimes, writeFile } from "node:fs/promises";

const TOUCH_MS = 2_000;
/** Many touches: a machine that swaps or a laptop that sleeps for a moment is not dead. */
const STALE_MS = 30_000;

/**
 * The lock, or null while another process has it. Two processes that find the same dead lock in the same instant may both
 * get one: what they make must be safe to make twice.
 */
export async function tryLock(file: string, staleMs: number = STALE_MS): Promise<AsyncDisposable | null> {
  const owner = randomUUID();
  if (await create(file, owner)) return hold(file, owner);
  const age = await ageOf(file);
  if (age !== null && age < staleMs) return null;
  if (age !== null) await rm(file, { force: true });
  return (await create(file, owner)) ? hold(file, owner) : null;
}

async function create(file: string, owner: string): Promise<boolean> {
  try {
    await writeFile(file, owner, { flag: "wx" });
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

/** Milliseconds since the owner last touched it; null when it is gone. */
async function ageOf(file: string): Promise<number | null> {
  return await stat(file).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => null,
  );
}

function hold(file: string, owner: string): AsyncDisposable {
  const timer = setInterval(() => {
    const now = new Date();
    // A lock that was taken from us is no loss: see above.
    utimes(file, now, now).catch(() => {});
  }, TOUCH_MS);
  timer.unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      const isOurs = (await readFile(file, "utf8").catch(() => "")) === owner;
      if (isOurs) await rm(file, { force: true });
    },
  };
}
