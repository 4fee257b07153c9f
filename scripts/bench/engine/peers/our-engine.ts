/** Our engine as one of the programs that are compared, through what everybody else calls, too. */
import { Engine, type EngineEvent, type EngineOptions, type GenerateRequest } from "@llava/engine";
import { Binding } from "@llava/runtime";
import { coarseNoise } from "../measure/noise.ts";
import { type Figures, type Order, type Peer, servePeer } from "./peer.ts";
import { type Arrival, type Rate, windowRate } from "../measure/stream-window.ts";

type Finished = Extract<EngineEvent, { type: "finished" }>;

/** Tokens of a prompt whose answer is measured, not the prompt. */
const SHORT_PROMPT = 16;

interface OurOptions {
  readonly folder: string;
  readonly threads: number;
  readonly dtype: NonNullable<EngineOptions["dtype"]>;
  /** Most answers at once. */
  readonly streams: number;
}

async function loadOurs({ folder, threads, dtype, streams }: OurOptions): Promise<OurEngine> {
  return new OurEngine(await Engine.load(folder, { threads, dtype, maxRunning: streams }));
}

class OurEngine implements Peer {
  readonly #engine: Engine;
  readonly #runs = new RunWatch();
  /** Makes each prompt, and the image, another one. */
  #counter = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async measure(order: Order): Promise<Figures> {
    switch (order.measure) {
      case "prompt":
        return await this.#prompt(order.tokens);
      case "decode":
        return await this.#decode(order.streams, order.tokens);
      case "image":
        return await this.#image();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#runs[Symbol.dispose]();
    await this.#engine[Symbol.asyncDispose]();
  }

  async #prompt(tokens: number): Promise<Figures> {
    const { usage, timings } = await this.#finish({ ...this.#question(tokens), maxTokens: 1 });
    return { tokens: usage.promptTokens - usage.cachedTokens, ms: timings.prefillMs };
  }

  async #decode(streams: number, tokens: number): Promise<Figures> {
    this.#runs.clear();
    const answers = await Promise.all(
      Array.from({ length: streams }, () =>
        this.#arrivals({ ...this.#question(SHORT_PROMPT), maxTokens: tokens }),
      ),
    );
    const rate = windowRate(answers);
    return { tokens: rate.tokens, ms: rate.ms, ...this.#runs.outside(rate) };
  }

  async #image(): Promise<Figures> {
    this.#counter += 1;
    const images = [await coarseNoise(1024, 768, this.#counter)];
    const ask = async (question: string): Promise<Finished> =>
      await this.#finish({
        prompt: `USER: <image>\n${question} ASSISTANT:`,
        images,
        maxTokens: 1,
        temperature: 0,
      });
    const first = await ask("What is it?");
    const second = await ask("Who made it?");
    return {
      encodeMs: first.timings.encodeMs,
      firstMs: first.timings.firstTokenMs,
      secondMs: second.timings.firstTokenMs,
      promptTokens: second.usage.promptTokens,
      cachedTokens: second.usage.cachedTokens,
    };
  }

  /**
   * A prompt that begins unlike any other, of so many tokens with a tokenizer that has one for each byte (others make
   * fewer), and an answer of full length. Sampled, since greedy answers of random weights
   * repeat themselves, and then the engine guesses them in advance: that is measured elsewhere.
   */
  #question(tokens: number): GenerateRequest {
    this.#counter += 1;
    const letters = Array.from({ length: tokens }, (_, i) => letter(this.#counter * 7919 + i * i)).join("");
    return {
      // One token more marks the beginning.
      prompt: `${this.#counter} ${letters}`.slice(0, tokens - 1),
      images: [],
      temperature: 1,
      seed: this.#counter,
      ignoreEos: true,
    };
  }

  async #arrivals(request: GenerateRequest): Promise<Arrival[]> {
    const arrivals: Arrival[] = [];
    for await (const event of this.#engine.generate(request)) {
      if (event.type === "error") throw event.error;
      if (event.type === "text-delta") arrivals.push({ at: performance.now(), tokens: event.tokens.length });
    }
    return arrivals;
  }

  async #finish(request: GenerateRequest): Promise<Finished> {
    for await (const event of this.#engine.generate(request)) {
      if (event.type === "finished") return event;
      if (event.type === "error") throw event.error;
    }
    throw new Error("The answer has no end.");
  }
}

function letter(i: number): string {
  return String.fromCodePoint(0x61 + (i % 26));
}

/** Notes when ONNX Runtime works, from the call until the promise is settled. */
class RunWatch implements Disposable {
  readonly #spans: { readonly from: number; readonly to: number }[] = [];
  readonly #run: Binding["run"];

  constructor() {
    const spans = this.#spans;
    // oxlint-disable-next-line typescript/unbound-method -- called on its binding below
    const run = Binding.prototype.run;
    this.#run = run;
    Binding.prototype.run = async function watchedRun(this: Binding, options) {
      const from = performance.now();
      await run.call(this, options);
      spans.push({ from, to: performance.now() });
    };
  }

  clear(): void {
    this.#spans.length = 0;
  }

  /** Steps of the time, and what of each was not spent in a run. */
  outside({ from, to, ms }: Rate): Figures {
    const inside = this.#spans.filter((span) => span.from >= from && span.to <= to);
    const running = inside.reduce((sum, span) => sum + span.to - span.from, 0);
    return { steps: inside.length, outsideMs: (ms - running) / inside.length };
  }

  [Symbol.dispose](): void {
    Binding.prototype.run = this.#run;
  }
}

if (import.meta.main) {
  const [folder = "", threads = "", dtype = "", streams = ""] = process.argv.slice(2);
  await servePeer(
    async () =>
      await loadOurs({
        folder,
        threads: Number(threads),
        dtype: dtype as OurOptions["dtype"],
        streams: Number(streams),
      }),
  );
}
