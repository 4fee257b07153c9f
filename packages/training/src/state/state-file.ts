/** Reads and writes state.json, the small file of a run's folder that names the run's weights and its position. */
import { open, readFile, rename } from "node:fs/promises";
import path from "node:path";

/** Where a run is: `step` steps of phase `phase` are done. Batches are functions of the phase and the step alone. */
export interface Position {
  readonly phase: string;
  readonly step: number;
}

export const STATE_FILE = "state.json";
export const NEW_STATE_FILE = `${STATE_FILE}.new`;
/** Folders that take turns: one holds the last save, the other is free for the next. */
export const WEIGHT_FOLDERS = ["weights-a", "weights-b"] as const;

export interface SavedRun {
  readonly weights: (typeof WEIGHT_FOLDERS)[number];
  readonly position: Position | null;
  readonly finished: readonly string[];
}

/**
 * The content of the folder's state.json, or undefined when the file is missing or is not one that `writeStateFile`
 * wrote. A file that cannot be read is an error: a save that went on would delete the weights that the file names.
 */
export async function readStateFile(folder: string): Promise<SavedRun | undefined> {
  let text: string;
  try {
    text = await readFile(path.join(folder, STATE_FILE), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return parseSavedRun(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** The file is on the disk before it gets its name: a power cut must not leave an empty one. */
export async function writeStateFile(folder: string, run: SavedRun): Promise<void> {
  const temporary = path.join(folder, NEW_STATE_FILE);
  {
    await using file = await open(temporary, "w");
    await file.writeFile(JSON.stringify(run));
    await file.sync();
  }
  await rename(temporary, path.join(folder, STATE_FILE));
}

function parseSavedRun(value: unknown): SavedRun | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (!("weights" in value && "position" in value && "finished" in value)) return undefined;
  const { position, finished } = value;
  const weights = WEIGHT_FOLDERS.find((name) => name === value.weights);
  const isWhole =
    weights !== undefined &&
    (position === null || isPosition(position)) &&
    Array.isArray(finished) &&
    finished.every((phase) => typeof phase === "string");
  return isWhole ? { weights, position, finished } : undefined;
}

function isPosition(value: unknown): value is Position {
  if (typeof value !== "object" || value === null || !("phase" in value && "step" in value)) return false;
  const { phase, step } = value;
  return typeof phase === "string" && typeof step === "number" && Number.isSafeInteger(step) && step >= 0;
}
