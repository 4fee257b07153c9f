/** A watch on the files that a model was loaded from: they stay mapped into memory, and must stay what they were. */
import { stat } from "node:fs/promises";
import { LlavaError } from "@llava/protocol";

/** Shortest time between two looks, milliseconds. */
const PAUSE_MS = 1000;

interface State {
  readonly inode: bigint;
  readonly size: bigint;
  readonly changedNs: bigint;
}

/**
 * A file that another one replaced under its name (as downloads and git do) lives on for processes that have it mapped.
 * One that is written into does not: its numbers would silently become others.
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
    // Only after a good result is there a pause.
    this.#lookedAt = now;
  }
}

async function stateOf(file: string): Promise<State> {
  const { ino, size, mtimeNs } = await stat(file, { bigint: true });
  return { inode: ino, size, changedNs: mtimeNs };
}
