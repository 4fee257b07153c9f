/** Shows a series of figures over time as a line, as a sentence for screen readers, and as a table. */
import type { ClusterSeries, SeriesName } from "@llava/protocol/browser";
import type { JSX } from "preact";

import { TEXTS } from "../../ui/texts.ts";
import { figure, means } from "./figures.ts";

export type ChartName = keyof typeof TEXTS.cluster.charts;

interface Props {
  readonly name: ChartName;
  readonly series: ClusterSeries;
  readonly window: SeriesName;
}

const WIDTH = 300;
const HEIGHT = 64;
/** Number of steps of each window. */
const LENGTHS: Readonly<Record<SeriesName, number>> = { "5m": 300, "1h": 360, "24h": 1_440 };
const TABLE_ROWS = 30;

export function Chart({ name, series, window }: Props): JSX.Element {
  const values = series[name];
  const shown = (value: number | null): string =>
    name === "first_word_p95_s" && value !== null ? TEXTS.cluster.seconds(figure(value)) : figure(value);
  const most = Math.max(0, ...values.map((value) => value ?? 0));
  const now = values.at(-1) ?? null;
  const title = TEXTS.cluster.charts[name];
  return (
    <figure class="chart">
      <figcaption>
        <span>{title}</span> <strong>{shown(now)}</strong>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={TEXTS.cluster.chartLabel(title, shown(now), shown(most))}
      >
        <path class="chart-area" d={areaOf(values, LENGTHS[window], most)} />
        <path class="chart-line" d={lineOf(values, LENGTHS[window], most)} />
      </svg>
      <p class="chart-axis">
        <span>{TEXTS.cluster.ago[window]}</span>
        <span>{TEXTS.cluster.most(shown(most))}</span>
        <span>{TEXTS.cluster.now}</span>
      </p>
      <details>
        <summary>{TEXTS.cluster.asTable}</summary>
        <Table {...{ title, series, window, values, shown }} />
      </details>
    </figure>
  );
}

interface TableProps {
  readonly title: string;
  readonly series: ClusterSeries;
  readonly window: SeriesName;
  readonly values: readonly (number | null)[];
  readonly shown: (value: number | null) => string;
}

/** Rows with the newest first, each the mean of several steps. */
function Table({ title, series, window, values, shown }: TableProps): JSX.Element {
  const perRow = LENGTHS[window] / TABLE_ROWS;
  const rows = means(values, perRow).toReversed();
  return (
    <div class="chart-table" tabIndex={0} role="group" aria-label={title}>
      <table>
        <thead>
          <tr>
            <th scope="col">{TEXTS.cluster.until}</th>
            <th scope="col">{title}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((value, index) => (
            <tr key={index}>
              <th scope="row">
                {new Date(series.end_ms - index * perRow * series.step_s * 1_000).toLocaleTimeString()}
              </th>
              <td>{shown(value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

type Point = readonly [x: number, y: number];

/** Runs of values without a gap, each of at least one point, with the newest at the right edge. */
function stretches(values: readonly (number | null)[], length: number, most: number): readonly Point[][] {
  const found: Point[][] = [];
  let isOpen = false;
  for (const [index, value] of values.entries()) {
    if (value === null) {
      isOpen = false;
      continue;
    }
    const x = WIDTH - ((values.length - 1 - index) * WIDTH) / (length - 1);
    const y = HEIGHT - 2 - (most === 0 ? 0 : (value / most) * (HEIGHT - 6));
    if (isOpen) found.at(-1)?.push([x, y]);
    else found.push([[x, y]]);
    isOpen = true;
  }
  return found;
}

const step = ([x, y]: Point): string => `${x.toFixed(1)} ${y.toFixed(1)}`;

function lineOf(values: readonly (number | null)[], length: number, most: number): string {
  return stretches(values, length, most)
    .map((points) => `M${points.map(step).join("L")}${points.length === 1 ? "h1" : ""}`)
    .join("");
}

function areaOf(values: readonly (number | null)[], length: number, most: number): string {
  return stretches(values, length, most)
    .map((points) => {
      const [first, last] = [points[0]?.[0] ?? 0, points.at(-1)?.[0] ?? 0];
      return `M${first.toFixed(1)} ${HEIGHT}L${points.map(step).join("L")}L${last.toFixed(1)} ${HEIGHT}Z`;
    })
    .join("");
}
