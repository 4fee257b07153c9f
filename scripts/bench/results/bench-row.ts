/** One figure of the bench, and the few statistics that all its parts take. */

export interface Row {
  readonly part: "training" | "event loop" | "engine" | "relay" | "many streams" | "large bodies";
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** How it was measured, or what it should be. */
  readonly note: string;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? (sorted[Math.floor(middle)] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** The value that `share` of all are not above, by nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Aligned columns, one block for each part. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map((row) => ({ ...row, number: formatNumber(row.value) }));
  const width = (of: (row: (typeof cells)[number]) => string): number =>
    Math.max(0, ...cells.map((row) => of(row).length));
  const [nameWidth, numberWidth, unitWidth] = [
    width((row) => row.name),
    width((row) => row.number),
    width((row) => row.unit),
  ];
  return cells
    .map(({ part, name, number, unit, note }, i) => {
      const heading = cells[i - 1]?.part === part ? "" : `${i === 0 ? "" : "\n"}${part}\n`;
      const columns = [name.padEnd(nameWidth), number.padStart(numberWidth), unit.padEnd(unitWidth), note];
      return `${heading}  ${columns.join("  ").trimEnd()}`;
    })
    .join("\n");
}

function formatNumber(value: number): string {
  if (value !== 0 && Math.abs(value) < 1) return value.toFixed(3);
  return value.toFixed(Math.abs(value) < 100 ? 1 : 0);
}
