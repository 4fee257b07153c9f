/** Figures of a contest as tables: medians with their spread, and ratios taken round by round. */
import type { Machine } from "../results/bench-results.ts";
import { median } from "../results/bench-row.ts";
import type { Contest, Sample, Upkeep } from "./contest.ts";

/** One run of the bench, as it is written to bench-results.json. */
export interface EngineResult extends Machine, Contest {
  readonly model: string;
  readonly threads: number;
}

export interface Ratio {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** How many times better `ours` is, from rounds that both have, else from what each has; undefined when one has none. */
export function ratio(ours: Sample, other: Sample): Ratio | undefined {
  const ratios = ours.values.flatMap((own, round) => {
    const theirs = other.values[round];
    if (own === null || theirs === null || theirs === undefined) return [];
    return [ours.isRate ? own / theirs : theirs / own];
  });
  if (ratios.length === 0) return ratioOfMedians(ours, other);
  return { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
}

function ratioOfMedians(ours: Sample, other: Sample): Ratio | undefined {
  const [own, theirs] = [ours, other].map(({ values }) => median(values.filter((value) => value !== null)));
  const found = ours.isRate
    ? (own ?? Number.NaN) / (theirs ?? Number.NaN)
    : (theirs ?? Number.NaN) / (own ?? Number.NaN);
  return Number.isNaN(found) ? undefined : { median: found, least: found, most: found };
}

/** The first peer's figures beside those of the others. */
export function markdown(title: string, result: EngineResult): string {
  const peers = result.upkeep.map(({ peer }) => peer);
  const [own = ""] = peers;
  const others = peers.slice(1);
  const figures = [...new Set(result.samples.map(({ figure }) => figure))];
  const find = (peer: string, figure: string): Sample | undefined =>
    result.samples.find((sample) => sample.peer === peer && sample.figure === figure);
  const rows = figures.map((figure) => {
    const ours = find(own, figure);
    const theirs = others.map((peer) => find(peer, figure));
    const unit = [ours, ...theirs].find((sample) => sample)?.unit ?? "";
    const ratios = theirs.map((other) => ours && other && ratio(ours, other));
    return [
      `${figure}, ${unit}`,
      spread(ours),
      ...theirs.flatMap((other, i) => [spread(other), times(ratios[i])]),
    ];
  });
  const heading = ["", own, ...others.flatMap((peer) => [peer, "ratio"])];
  const quiet = result.foreign
    ? ` Other programs took ${percent(result.foreign.median)} of the machine meanwhile, ${percent(result.foreign.most)} at worst.`
    : "";
  const { cpu, cores, memoryGiB, platform, node, date, threads } = result;
  return [
    `## ${title}`,
    `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${platform}, Node ${node}, ${date.slice(0, 10)}; ${threads} threads each; median (least – most) of the rounds; a ratio above 1 is in favour of the first column.${quiet}`,
    table([heading, ...rows]),
    table([UPKEEP, ...result.upkeep.map(upkeepRow)]),
  ].join("\n\n");
}

const UPKEEP = ["", "loading, s", "own memory, MiB", "mapped files, MiB", "at most, MiB", "idle CPU, %"];

function upkeepRow({ peer, loadMs, ownMiB, mappedMiB, peakMiB, idleCpu }: Upkeep): string[] {
  return [peer, number(loadMs / 1000), ...[ownMiB, mappedMiB, peakMiB, idleCpu].map(number)];
}

function spread(sample: Sample | undefined): string {
  const values = sample?.values.filter((value) => value !== null) ?? [];
  if (values.length === 0) return "–";
  return `${number(median(values))} (${number(Math.min(...values))} – ${number(Math.max(...values))})`;
}

function times(found: Ratio | undefined): string {
  if (!found) return "–";
  return `**${found.median.toFixed(2)}×** (${found.least.toFixed(2)} – ${found.most.toFixed(2)})`;
}

function number(value: number | undefined): string {
  if (value === undefined) return "–";
  if (value !== 0 && Math.abs(value) < 10) return value.toFixed(2);
  return value.toFixed(value < 100 ? 1 : 0);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function table([heading = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = heading.map((_, i) => (i === 0 ? "---" : "--:"));
  return [heading, rule, ...rows].map(line).join("\n");
}
