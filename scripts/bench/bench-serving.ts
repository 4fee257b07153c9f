/** What a question costs, and how long the event loop waits meanwhile. */
import { Engine, type EngineEvent, type GenerateRequest } from "@llava/engine";
import { decodeImage, imageHash, pixelValues } from "@llava/processing";
import { openModelFolder } from "@llava/models";
import { Binding } from "@llava/runtime";
import sharp from "sharp";
import { median, type Row, timed } from "./results/bench-row.ts";

export interface ServingBenchOptions {
  readonly model: string;
  readonly device: string;
  readonly repeat: number;
  readonly threads: number | undefined;
}

type Finished = Extract<EngineEvent, { type: "finished" }>;

/** Tokens after which a question is answered long enough to measure decoding. */
const DECODED_TOKENS = 256;
const MAX_IMAGES = 4;

export async function benchServing(options: ServingBenchOptions): Promise<Row[]> {
  const { model, device, repeat, threads } = options;
  const load = async (): Promise<Engine> =>
    await Engine.load(model, { device, ...(threads === undefined ? {} : { threads }) });
  const loads: number[] = [];
  for (let i = 0; i < Math.min(3, repeat); i++) {
    loads.push(await timed(async () => await (await load())[Symbol.asyncDispose]()));
  }
  await using engine = await load();
  using runs = new RunWatch();
  const requests = await requestsFor(model);
  await finish(engine, await requests.long());
  const rows = await loopRows(engine, model, requests, repeat);
  return [...rows, ...(await engineRows(engine, { requests, runs, repeat, loads }))];
}

async function loopRows(engine: Engine, model: string, requests: Requests, repeat: number): Promise<Row[]> {
  const { description } = await openModelFolder(model);
  const large = await noise(4000, 3000);
  const prepare = async (): Promise<void> => {
    const image = await decodeImage(large);
    await imageHash(image);
    await pixelValues(image, description.pixels);
  };
  /** `begin` makes what the work needs, which is not measured. */
  const row = async (name: string, what: string, begin: () => Promise<Work> | Work): Promise<Row[]> => {
    const gaps: Gap[] = [];
    for (let i = 0; i < repeat; i++) gaps.push(await longestGap(await begin()));
    const delays = gaps.map(({ delayMs }) => delayMs);
    const own = Math.max(...gaps.map(({ ownMs }) => ownMs));
    const note = `longest delay of a ${TICK_MS}-ms timer in ${repeat} goes; median ${median(delays).toFixed(1)}; ${what}`;
    return [
      { part: "event loop", name, value: Math.max(...delays), unit: "ms", note },
      {
        part: "event loop",
        name: `${name}, own work`,
        value: own,
        unit: "ms",
        note: "most that our thread computed without a pause",
      },
    ];
  };
  return [
    ...(await row(
      "idle",
      "what other programs do to it",
      () => () => new Promise((resolve) => setTimeout(resolve, 300)),
    )),
    ...(await row("long prompt", `${requests.imagesOfLong} images; should stay below 20`, async () => {
      const prompt = await requests.long();
      return () => finish(engine, prompt);
    })),
    ...(await row("12-Mpx image", "decoding, hashing, resampling; should stay below 20", () => prepare)),
  ];
}

type Work = () => Promise<unknown>;

interface EngineMeasurement {
  readonly requests: Requests;
  readonly runs: RunWatch;
  readonly repeat: number;
  readonly loads: readonly number[];
}

async function engineRows(
  engine: Engine,
  { requests, runs, repeat, loads }: EngineMeasurement,
): Promise<Row[]> {
  const long: Finished[] = [];
  for (let i = 0; i < repeat; i++) long.push(await finish(engine, await requests.long()));
  const short: Finished[] = [];
  for (let i = 0; i < repeat; i++)
    short.push(await finish(engine, { ...(await requests.question()), temperature: 0, maxTokens: 8 }));
  const decoding = await decode(engine, await requests.question(), runs);
  const perImage = ({ timings, usage }: Finished): number =>
    timings.encodeMs / (usage.imageTokens / engine.info.tokensPerImage);
  const { promptTokens = 0 } = long[0]?.usage ?? {};
  const rows: [string, number, string, string][] = [
    ["load", median(loads), "ms", `${engine.info.name}, with its end; median of ${loads.length}`],
    ["encode", median(long.map(perImage)), "ms", "an image"],
    [
      "prompt",
      median(long.map(({ usage, timings }) => usage.promptTokens / timings.prefillMs)) * 1000,
      "tokens/s",
      `${promptTokens} tokens`,
    ],
    [
      "first token",
      median(short.map(({ timings }) => timings.firstTokenMs)),
      "ms",
      "a question about one 1024 × 768 image, from the request on",
    ],
    [
      "decode",
      (decoding.steps / decoding.wallMs) * 1000,
      "tokens/s",
      `one answer at a time; ${decoding.steps} tokens`,
    ],
    ["decode step", decoding.wallMs / decoding.steps, "ms", "wall clock"],
    [
      "outside of run",
      (decoding.wallMs - decoding.runMs) / decoding.steps,
      "ms",
      "of a decode step: sampling, text, scheduling, binding",
    ],
  ];
  return rows.map(([name, value, unit, note]) => ({ part: "engine", name, value, unit, note }));
}

interface Decoding {
  readonly steps: number;
  readonly wallMs: number;
  readonly runMs: number;
}

/** Sampled hot, so that answers are long. */
async function decode(engine: Engine, question: GenerateRequest, runs: RunWatch): Promise<Decoding> {
  const total = { steps: 0, wallMs: 0, runMs: 0 };
  for (let seed = 0; total.steps < DECODED_TOKENS && seed < 100; seed++) {
    runs.clear();
    const { usage, timings } = await finish(engine, { ...question, temperature: 2, seed, maxTokens: 64 });
    const steps = usage.completionTokens - 1;
    total.steps += steps;
    total.wallMs += timings.decodeMs;
    total.runMs += steps > 0 ? runs.ms.slice(-steps).reduce((a, b) => a + b, 0) : 0;
  }
  return total;
}

/** Notes how long each run of encoder or decoder takes, from the call until its promise is settled. */
class RunWatch implements Disposable {
  readonly ms: number[] = [];
  readonly #run: Binding["run"];

  constructor() {
    const { ms } = this;
    // oxlint-disable-next-line typescript/unbound-method -- called on its binding below
    const run = Binding.prototype.run;
    this.#run = run;
    Binding.prototype.run = async function timedRun(this: Binding, options) {
      ms.push(await timed(() => run.call(this, options)));
    };
  }

  clear(): void {
    this.ms.length = 0;
  }

  [Symbol.dispose](): void {
    Binding.prototype.run = this.#run;
  }
}

const TICK_MS = 5;

interface Gap {
  /** How much later than it should a timer fired at worst: what a client would wait. */
  readonly delayMs: number;
  /** CPU time of this thread between two ticks at most: what of it we did ourselves. */
  readonly ownMs: number;
}

async function longestGap(work: () => Promise<unknown>): Promise<Gap> {
  const longest = { delayMs: 0, ownMs: 0 };
  let last = now();
  const tick = (): void => {
    const { wallMs, cpuMs } = now();
    longest.delayMs = Math.max(longest.delayMs, wallMs - last.wallMs - TICK_MS);
    longest.ownMs = Math.max(longest.ownMs, cpuMs - last.cpuMs);
    last = { wallMs, cpuMs };
  };
  const timer = setInterval(tick, TICK_MS);
  await work();
  tick();
  clearInterval(timer);
  return longest;
}

function now(): { wallMs: number; cpuMs: number } {
  const { user, system } = process.threadCpuUsage();
  return { wallMs: performance.now(), cpuMs: (user + system) / 1000 };
}

/** Makes requests whose images the engine has not seen: those of a request before would come from its caches. */
interface Requests {
  /** Number of images of a long prompt. */
  readonly imagesOfLong: number;
  /** Images and words that fill the context but for a few positions, and one token to answer with. */
  long(): Promise<GenerateRequest>;
  question(): Promise<GenerateRequest>;
}

async function requestsFor(model: string): Promise<Requests> {
  const { description, tokenizer } = await openModelFolder(model);
  const { contextLength } = description.text;
  const { tokensPerImage } = description.vision;
  const numImages = Math.max(1, Math.min(MAX_IMAGES, Math.floor(contextLength / 2 / tokensPerImage)));
  const room = contextLength - numImages * tokensPerImage - 16;
  const words = "What is the color of the large circle at the left of the small square? ";
  const perSentence = tokenizer.encode(words).length;
  const text = words.repeat(Math.max(0, Math.floor(room / perSentence)));
  const prompt = `${"<image>\n".repeat(numImages)}${text}`;
  let numMade = 0;
  const images = async (count: number): Promise<Uint8Array[]> =>
    await Promise.all(Array.from({ length: count }, () => noise(1024, 768, numMade++)));
  return {
    imagesOfLong: numImages,
    long: async () => ({ prompt, images: await images(numImages), temperature: 0, maxTokens: 1 }),
    question: async () => ({
      prompt: [{ role: "user", text: "<image>\nDescribe the picture." }],
      images: await images(1),
    }),
  };
}

async function finish(engine: Engine, request: GenerateRequest): Promise<Finished> {
  for await (const event of engine.generate(request)) {
    if (event.type === "finished") return event;
    if (event.type === "error") throw event.error;
  }
  throw new Error("The answer has no end.");
}

/** A JPEG of coarse noise, another for each seed: as slow to decode as a photo, and as large. */
async function noise(width: number, height: number, seed = 0): Promise<Buffer> {
  const [columns, rows] = [Math.ceil(width / 8), Math.ceil(height / 8)];
  const pixels = Uint8Array.from({ length: columns * rows * 3 }, (_, i) => hashed(i, seed));
  const coarse = sharp(pixels, { raw: { width: columns, height: rows, channels: 3 } });
  return await coarse.resize(width, height, { fit: "fill" }).jpeg({ quality: 85 }).toBuffer();
}

/** Knuth's multiplicative hash, to a byte. */
function hashed(index: number, seed: number): number {
  return Math.imul(index + seed * 7919, 2_654_435_761) >>> 24;
}
