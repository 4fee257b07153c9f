/** Formats the list of workers as the table of `llava ps`. */
import type { WorkerList, WorkerView } from "@llava/protocol";

const COLUMNS = ["WORKER", "MODELS", "STATE", "QUEUE", "RUNNING", "TOK/S", "UPTIME", "VERSION"] as const;
const UNKNOWN = "-";
const GAP = "  ";

/** The lines of the table, each with a line feed. */
export function psTable({ data }: WorkerList): string {
  const rows = [COLUMNS, ...data.map(rowOf)];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(GAP)
      .trimEnd(),
  );
  return lines.map((line) => `${line}\n`).join("");
}

function rowOf(worker: WorkerView): readonly string[] {
  const { running, max_running, tokens_per_s, uptime_s } = worker;
  return [
    worker.address,
    worker.models.join(", "),
    stateOf(worker),
    String(worker.queue_length),
    running === null ? UNKNOWN : `${running}/${max_running ?? "?"}`,
    tokens_per_s === null ? UNKNOWN : tokens_per_s.toFixed(1),
    uptime_s === null ? UNKNOWN : durationOf(uptime_s),
    worker.version ?? UNKNOWN,
    // Control characters in what a worker reports must not reach the terminal.
  ].map((cell) => cell.replaceAll(/\p{Cc}/gu, "?"));
}

function stateOf({ state, breaker }: WorkerView): string {
  if (breaker === "closed") return state;
  return breaker === "open" ? `${state}, left alone` : `${state}, on trial`;
}

/** The two largest units: "3d 4h", "2m 5s", "12s". */
export function durationOf(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3_600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "m"],
    [whole % 60, "s"],
  ] as const;
  const first = parts.findIndex(([number]) => number > 0);
  if (first < 0) return "0s";
  return parts
    .slice(first, first + 2)
    .map(([number, unit]) => `${number}${unit}`)
    .join(" ");
}
