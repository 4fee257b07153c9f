/**
 * llama.cpp as one of the programs that are compared: the prebuilt library of the `node-llama-cpp` package, which is no
 * dependency of ours but lies in a folder of its own.
 */
import path from "node:path";
import { pathToFileURL } from "node:url";
import { type Figures, type Order, type Peer, servePeer } from "./peer.ts";
import { type Arrival, windowRate } from "../measure/stream-window.ts";

/** As much of the package as is called here. */
interface NodeLlamaCpp {
  getLlama(options: { gpu: false; build: "never"; maxThreads: number; logLevel: "error" }): Promise<Llama>;
}
interface Llama {
  loadModel(options: { modelPath: string }): Promise<Model>;
  dispose(): Promise<void>;
}
interface Model {
  createContext(options: ContextOptions): Promise<Context>;
}
interface ContextOptions {
  readonly sequences: number;
  readonly contextSize: number;
  readonly batchSize: number;
  readonly threads: { readonly ideal: number; readonly min: number };
}
interface Context {
  getSequence(): Sequence;
}
interface Sequence {
  evaluate(tokens: number[], options: { temperature: number; yieldEogToken: boolean }): AsyncIterable<number>;
  evaluateWithoutGeneratingNewTokens(tokens: number[]): Promise<void>;
  clearHistory(): Promise<void>;
}

const SHORT_PROMPT = 16;
/** Tokens of one answer and its prompt, at most. */
const CONTEXT = 1024;
/** Ids that are words; the ones below are control tokens and bytes. */
const FIRST_WORD = 300;

interface LlamaCppOptions {
  /** Holds node_modules/node-llama-cpp. */
  readonly folder: string;
  readonly model: string;
  readonly threads: number;
  readonly streams: number;
}

async function loadLlamaCpp({ folder, model, threads, streams }: LlamaCppOptions): Promise<Peer> {
  const entry = path.join(path.resolve(folder), "node_modules/node-llama-cpp/dist/index.js");
  const library = (await import(pathToFileURL(entry).href)) as NodeLlamaCpp;
  const llama = await library.getLlama({
    gpu: false,
    build: "never",
    maxThreads: threads,
    logLevel: "error",
  });
  const loaded = await llama.loadModel({ modelPath: model });
  const context = await loaded.createContext({
    sequences: streams,
    contextSize: CONTEXT,
    batchSize: 512,
    threads: { ideal: threads, min: threads },
  });
  const sequences = Array.from({ length: streams }, () => context.getSequence());
  let counter = 0;
  const prompt = (tokens: number): number[] => {
    counter += 1;
    return Array.from({ length: tokens }, (_, i) => FIRST_WORD + ((counter * 7919 + i * 31) % 31_000));
  };
  return {
    measure: async (order) => {
      for (const sequence of sequences) await sequence.clearHistory();
      return await measure(sequences, order, prompt);
    },
    [Symbol.asyncDispose]: async () => await llama.dispose(),
  };
}

async function measure(
  sequences: readonly Sequence[],
  order: Order,
  prompt: (tokens: number) => number[],
): Promise<Figures> {
  switch (order.measure) {
    case "prompt": {
      const tokens = prompt(order.tokens);
      const startedAt = performance.now();
      await sequences[0]?.evaluateWithoutGeneratingNewTokens(tokens);
      return { tokens: tokens.length, ms: performance.now() - startedAt };
    }
    case "decode": {
      const own = sequences.slice(0, order.streams);
      const answers = await Promise.all(
        own.map((each) => arrivals(each, prompt(SHORT_PROMPT), order.tokens)),
      );
      const { tokens, ms } = windowRate(answers);
      return { tokens, ms };
    }
    case "image":
      throw new Error("node-llama-cpp does not take images.");
  }
}

/** Greedy: the cheapest way to choose a token. */
async function arrivals(sequence: Sequence, prompt: number[], tokens: number): Promise<Arrival[]> {
  const seen: Arrival[] = [];
  for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    void token;
    seen.push({ at: performance.now(), tokens: 1 });
    if (seen.length === tokens) break;
  }
  return seen;
}

if (import.meta.main) {
  const [folder = "", model = "", threads = "", streams = ""] = process.argv.slice(2);
  await servePeer(
    async () => await loadLlamaCpp({ folder, model, threads: Number(threads), streams: Number(streams) }),
  );
}
