/** What is measured, each on a window of its own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import sharp from "sharp";
import { median, percentile } from "../results/bench-row.ts";
import { longMarkdown, tokensOf } from "./long-markdown.ts";
import { FRAME_PROBE, OPEN_PROBE, PAINT_PROBE, SHOWN_PROBE, WORKER_PROBE } from "./probes.ts";
import type { FrameNotes } from "./probes.ts";
import { Window } from "./page-service.ts";
import type { Service } from "./page-service.ts";

export interface Figure {
  readonly name: string;
  /** One a round. */
  readonly values: readonly number[];
  readonly unit: string;
  /** What the value may be at most, or at least where `isLeast`. */
  readonly goal: number | null;
  readonly isLeast?: boolean;
}

const TEXT_LENGTH = 40_000;
const TALK_TOKENS = 1_000;

export async function benchPaint(
  service: Service,
  slowdown: number,
  rounds: number,
): Promise<readonly Figure[]> {
  const delays: number[][] = [];
  for (let round = 0; round < rounds; round++) {
    await using window = await Window.open(service, slowdown);
    // Plain words, a paragraph after each fifty.
    const tokens = Array.from(
      { length: TALK_TOKENS },
      (_, i) => `${i > 0 && i % 50 === 0 ? "\n\n" : ""}t${i} `,
    );
    service.stage.script = { tokens, perSecond: 100 };
    await window.page.evaluate(PAINT_PROBE);
    const offsetMs = await window.clockOffsetMs();
    await window.ask("Talk.");
    await window.untilFinished();
    const notes = await window.page.evaluate<readonly (readonly [number, number])[]>("window.notes");
    delays.push(delaysOf(service.stage.sentMs, notes, offsetMs));
  }
  const goal = slowdown === 1 ? 50 : 120;
  const each = (share: number): readonly number[] => delays.map((values) => percentile(values, share));
  const name = `token to paint, 100 tokens/s, processor ${slowdown}×`;
  return [
    { name: `${name}: p50`, values: each(0.5), unit: "ms", goal: null },
    { name: `${name}: p95`, values: each(0.95), unit: "ms", goal },
  ];
}

/** Each token is painted with the first frame that shows it or one after it. */
function delaysOf(
  sentMs: readonly number[],
  notes: readonly (readonly [number, number])[],
  offsetMs: number,
): number[] {
  let frame = 0;
  return sentMs.flatMap((sent, token) => {
    while (frame < notes.length && (notes[frame]?.[0] ?? 0) < token) frame++;
    const painted = notes[frame]?.[1];
    return painted === undefined ? [] : [painted - (sent + offsetMs)];
  });
}

export async function benchLongAnswer(
  service: Service,
  slowdown: number,
  rounds: number,
): Promise<readonly Figure[]> {
  const found = {
    rate: [] as number[],
    frame: [] as number[],
    blocking: [] as number[],
    lag: [] as number[],
  };
  for (let round = 0; round < rounds; round++) {
    await using window = await Window.open(service, slowdown);
    const tokens = tokensOf(longMarkdown(TEXT_LENGTH));
    service.stage.script = { tokens, perSecond: 500 };
    await window.page.evaluate(FRAME_PROBE);
    await window.ask("Write a book.");
    await window.untilFinished();
    const endMs = performance.now();
    const { frames, longTasks } = await window.page.evaluate<FrameNotes>("window.notes");
    const steps = frames.slice(1).map((now, i) => now - (frames[i] ?? now));
    const spanMs = (frames.at(-1) ?? 0) - (frames[0] ?? 0);
    found.rate.push((1000 * steps.length) / spanMs);
    found.frame.push(percentile(steps, 0.95));
    found.blocking.push(longTasks.reduce((sum, task) => sum + task - 50, 0));
    found.lag.push(endMs - (service.stage.sentMs.at(-1) ?? endMs));
  }
  const isFast = slowdown === 1;
  const name = `${TEXT_LENGTH / 4} tokens of Markdown, 500 tokens/s, processor ${slowdown}×`;
  return [
    { name: `${name}: frames`, values: found.rate, unit: "1/s", goal: isFast ? null : 45, isLeast: true },
    { name: `${name}: frame p95`, values: found.frame, unit: "ms", goal: isFast ? 25 : 60 },
    { name: `${name}: blocking time`, values: found.blocking, unit: "ms", goal: isFast ? 200 : 1000 },
    { name: `${name}: finished after the last token`, values: found.lag, unit: "ms", goal: null },
  ];
}

/** A conversation of so many messages comes in as a file. */
export async function benchOpening(
  service: Service,
  messages: number,
  rounds: number,
): Promise<readonly Figure[]> {
  const found = { open: [] as number[], heap: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    await using window = await Window.open(service, 1);
    const { page, session } = window;
    const buffer = Buffer.from(JSON.stringify(conversationFile(messages)));
    const file = { name: "conversations.json", mimeType: "application/json", buffer };
    await page.locator('.transfer input[type="file"]').setInputFiles(file);
    await page.locator(".conversation-list a").waitFor();
    found.open.push(await page.evaluate<number>(OPEN_PROBE));
    await page.waitForTimeout(1000);
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    found.heap.push(usedSize / 1e6);
  }
  return [
    { name: `conversation of ${messages} messages: open`, values: found.open, unit: "ms", goal: 300 },
    { name: `conversation of ${messages} messages: heap`, values: found.heap, unit: "MB", goal: 150 },
  ];
}

function conversationFile(messages: number): object {
  const id = (index: number): string => `m${index}`;
  const base = (index: number): object => ({
    id: id(index),
    conversationId: "c1",
    parentId: index === 0 ? null : id(index - 1),
    createdMs: index + 1,
  });
  const answer = { role: "assistant", model: "bench", state: { kind: "finished", reason: "stop" } };
  return {
    format: "llava-conversations",
    version: 1,
    conversations: [
      { id: "c1", title: "Long", createdMs: 1, updatedMs: 1, leafId: id(messages - 1), model: "bench" },
    ],
    messages: Array.from({ length: messages }, (_, i) =>
      i % 2 === 0
        ? { ...base(i), role: "user", text: `Question ${i / 2 + 1}?`, images: [] }
        : { ...base(i), ...answer, text: longMarkdown(800 + ((i * 37) % 800)) },
    ),
    images: {},
  };
}

/** From the click on stop until the controller sees its connection closed. */
export async function benchStop(service: Service, rounds: number): Promise<readonly Figure[]> {
  const values: number[] = [];
  await using window = await Window.open(service, 1);
  for (let round = 0; round < rounds; round++) {
    service.stage.script = { tokens: tokensOf(longMarkdown(TEXT_LENGTH)), perSecond: 100 };
    await window.ask("Go on and on.");
    const offsetMs = await window.clockOffsetMs();
    const clickedMs = await window.page.evaluate<number>(
      '{ const ms = performance.now(); document.querySelector("button.send").click(); ms; }',
    );
    await window.page.locator('.turn:last-child .answer[data-progress="stopped"]').waitFor();
    while (service.stage.leftMs === null) await window.page.waitForTimeout(5);
    values.push(service.stage.leftMs - (clickedMs - offsetMs));
  }
  return [
    {
      name: "stop: the controller's request ends",
      values: [percentile(values, 0.95)],
      unit: "ms",
      goal: 500,
    },
  ];
}

/** From the choice of a file of 12 megapixels until the page shows it, and the longest task of the page meanwhile. */
export async function benchPhotograph(service: Service, rounds: number): Promise<readonly Figure[]> {
  const folder = await mkdtemp(path.join(tmpdir(), "llava-bench-page-"));
  try {
    const file = path.join(folder, "IMG_12.JPG");
    await writePhotograph(file);
    const found = { prepared: [] as number[], shown: [] as number[], longest: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      await using window = await Window.open(service, 1);
      await window.page.evaluate(FRAME_PROBE);
      await window.page.evaluate(WORKER_PROBE);
      const shown = window.page.evaluate<number>(SHOWN_PROBE);
      await window.page.locator("input[type=file][multiple]").setInputFiles(file);
      found.shown.push(await shown);
      found.prepared.push(await window.page.evaluate<number>("window.preparedMs"));
      const { longTasks } = await window.page.evaluate<FrameNotes>("window.notes");
      found.longest.push(Math.max(0, ...longTasks));
    }
    const name = "photograph of 12 megapixels";
    return [
      { name: `${name}: prepared, beside the page`, values: found.prepared, unit: "ms", goal: 250 },
      { name: `${name}: shown`, values: found.shown, unit: "ms", goal: null },
      { name: `${name}: longest task of the page`, values: found.longest, unit: "ms", goal: 200 },
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** On its side, as telephones write them. */
async function writePhotograph(file: string): Promise<void> {
  const [width, height] = [4000, 3000];
  const noise = { type: "gaussian", mean: 128, sigma: 20 } as const;
  await sharp({ create: { width, height, channels: 3, background: "grey", noise } })
    .blur(2)
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toFile(file);
}

export function isMet({ values, goal, isLeast = false }: Figure): boolean {
  if (goal === null) return true;
  return isLeast ? median(values) >= goal : median(values) <= goal;
}
