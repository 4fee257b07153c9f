/** Draws how far a long run is: one line in place on a terminal, a log line now and then elsewhere. */

export interface ProgressReport {
  readonly title: string;
  readonly step: number;
  readonly steps: number;
  readonly samplesPerStep: number;
  readonly flopsPerStep: number;
  readonly loss: number;
  readonly learningRate: number;
}

/** The part of a stream that progress is written with: standard error, or the stream of a test. */
export type ProgressStream = Pick<NodeJS.WriteStream, "isTTY" | "write">;

const BAR_WIDTH = 24;
/** Time between two log lines where there is no terminal. */
const LOG_INTERVAL_MS = 30_000;

export class Progress {
  readonly #stream: ProgressStream;
  readonly #startedAt = performance.now();
  #firstStep: number | undefined;
  #smoothedLoss: number | undefined;
  #loggedAt = -Infinity;

  constructor(stream: ProgressStream = process.stderr) {
    this.#stream = stream;
  }

  update(report: ProgressReport): void {
    this.#firstStep ??= report.step - 1;
    this.#smoothedLoss =
      this.#smoothedLoss === undefined ? report.loss : 0.95 * this.#smoothedLoss + 0.05 * report.loss;
    const isLast = report.step === report.steps;
    if (this.#stream.isTTY) {
      this.#stream.write(`\r\u001B[2K${this.#line(report)}${isLast ? "\n" : ""}`);
      return;
    }
    const now = performance.now();
    if (!isLast && now - this.#loggedAt < LOG_INTERVAL_MS) return;
    this.#loggedAt = now;
    this.#stream.write(`${this.#line(report)}\n`);
  }

  #line(report: ProgressReport): string {
    const { title, step, steps, samplesPerStep, flopsPerStep, learningRate } = report;
    const stepsHere = step - (this.#firstStep ?? 0);
    const secondsPerStep = (performance.now() - this.#startedAt) / 1000 / stepsHere;
    const filled = Math.round((BAR_WIDTH * step) / steps);
    return [
      `${title.padEnd(18)} ${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${step}/${steps}`,
      `loss ${(this.#smoothedLoss ?? report.loss).toFixed(4)}`,
      `lr ${learningRate.toExponential(1)}`,
      `${(samplesPerStep / secondsPerStep).toFixed(1)} samples/s`,
      `${(flopsPerStep / secondsPerStep / 1e9).toFixed(0)} GFLOP/s`,
      `${formatDuration(secondsPerStep * (steps - step))} left`,
    ].join("  ");
  }
}

function formatDuration(seconds: number): string {
  const total = Math.round(seconds);
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${total % 60} s` : `${total} s`;
}
