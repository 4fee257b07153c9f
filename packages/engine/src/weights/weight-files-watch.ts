/** The files of weights that a model was loaded from: they stay mapped into memory, and must stay what they were. */
import { stat } from "node:fs/promises";
import { LlavaError } from "@llava/protocol";

/** Looked at this often at most, milliseconds. */
const PAUSE_MS = 1000;

interface State {
  readonly inode: bigint;
  readonly size: bigint;
  readonly changedNs: bigint;
}

/**
 * A file that another one replaced under its name (as downloads and git do) lives on for those who have it mapped. One
 * that is written into does not: its words would silently become others.
 */
export class WeightFilesWatch {
  readonly #states: ReadonlyMap<string, State>;
  #lookedAt = -Infinity;

  private constructor(states: ReadonlyMap<string, State>) {
    this.#states = states;
  }

  static async of(files: readonly string[]): Promise<WeightFilesWatch> {
    const states = new Map<string, State>();
    for (const file of new Set(files)) states.set(file, await stateOf(file));
    return new WeightFilesWatch(states);
  }

  /** Throws `runtime_failure` when one has been written into since it was loaded. */
  async requireUnchanged(now = performance.now()): Promise<void> {
    if (now - this.#lookedAt < PAUSE_MS) return;
    for (const [file, before] of this.#states) {
      const after = await stateOf(file).catch(() => undefined);
      const isSameFile = after !== undefined && after.inode === before.inode;
      if (!isSameFile || (after.size === before.size && after.changedNs === before.changedNs)) continue;
      throw new LlavaError(
        "runtime_failure",
        `${file} has been written into since the model was loaded from it. Restart the server to load what it holds now.`,
      );
    }
    // Only what is well is not looked at again at once.
    this.#lookedAt = now;
  }
}

async function stateOf(file: string): Promise<State> {
  const { ino, size, mtimeNs } = await stat(file, { bigint: true });
  return { inode: ino, size, changedNs: mtimeNs };
}
