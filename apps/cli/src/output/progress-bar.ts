/** Shows the progress of a long load: a bar that is redrawn on a terminal, or a line at each tenth in a file. */

export interface Progress {
  readonly phase: string;
  readonly done: number;
  readonly total: number;
  readonly unit?: unknown;
}

/** Whether a message of another process is a progress. */
export function isProgress(value: unknown): value is Progress {
  if (typeof value !== "object" || value === null) return false;
  if (!("phase" in value && "done" in value && "total" in value)) return false;
  const { phase, done, total } = value;
  return typeof phase === "string" && typeof done === "number" && typeof total === "number";
}

interface Terminal {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

const WIDTH = 30;
/** Percents between two lines in a file. */
const STEP_PERCENT = 10;

/** Shows progress in bytes only; the short steps of a load have none. `name` begins each line. */
export function progressBar(terminal: Terminal, name = "Weights"): (progress: Progress) => void {
  let last = "";
  return ({ phase: doing, done, total, unit }) => {
    if (unit !== "bytes") return;
    const phase = `${name}: ${doing}`;
    const percent = Math.floor((100 * done) / total);
    const text = `${phase} ${bar(done / total)} ${percent} % of ${(total / 1e9).toFixed(1)} GB`;
    if (terminal.isTTY === true) {
      terminal.write(`\r${text}${done === total ? "\n" : ""}`);
      return;
    }
    const step = `${phase} ${Math.floor(percent / STEP_PERCENT)}`;
    if (step !== last) terminal.write(`${phase}, ${percent} % of ${(total / 1e9).toFixed(1)} GB\n`);
    last = step;
  };
}

function bar(share: number): string {
  const full = Math.round(WIDTH * Math.min(1, share));
  return `[${"#".repeat(full)}${".".repeat(WIDTH - full)}]`;
}
