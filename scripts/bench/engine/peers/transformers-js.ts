/** `@huggingface/transformers` for JavaScript as one of the programs that are compared; it lies in a folder of its own. */
import path from "node:path";
import { pathToFileURL } from "node:url";
import { type Figures, type Order, type Peer, servePeer } from "./peer.ts";
import { windowRate } from "../measure/stream-window.ts";
import { writeTransformersJsModel } from "./transformers-js-model.ts";

/** As much of the package as is called here. */
interface TransformersJs {
  readonly env: { localModelPath: string; allowRemoteModels: boolean };
  readonly Tensor: new (type: "int64", data: BigInt64Array, dims: number[]) => unknown;
  readonly AutoModelForCausalLM: {
    from_pretrained(name: string, options: Readonly<Record<string, unknown>>): Promise<Model>;
  };
}
interface Model {
  generate(options: GenerateOptions): Promise<unknown>;
  dispose(): Promise<unknown>;
}
interface GenerateOptions {
  readonly inputs: unknown;
  readonly attention_mask: unknown;
  readonly max_new_tokens: number;
  readonly min_new_tokens: number;
  readonly do_sample: false;
  readonly streamer: { put(tokens: unknown): void; end(): void };
}

const SHORT_PROMPT = 16;
/** Ids that are words; the ones below are control tokens and bytes. */
const FIRST_WORD = 300;

interface TransformersJsOptions {
  /** Holds node_modules/@huggingface/transformers. */
  readonly folder: string;
  /** As its model writer left it. */
  readonly model: string;
  readonly threads: number;
}

async function loadTransformersJs({ folder, model, threads }: TransformersJsOptions): Promise<Peer> {
  const entry = path.join(
    path.resolve(folder),
    "node_modules/@huggingface/transformers/dist/transformers.node.mjs",
  );
  const library = (await import(pathToFileURL(entry).href)) as TransformersJs;
  library.env.localModelPath = `${path.dirname(path.resolve(model))}/`;
  library.env.allowRemoteModels = false;
  const loaded = await library.AutoModelForCausalLM.from_pretrained(path.basename(model), {
    dtype: "q4",
    local_files_only: true,
    session_options: { intraOpNumThreads: threads, logSeverityLevel: 3 },
  });
  let counter = 0;
  const tensor = (rows: number, columns: number, value: (i: number) => number): unknown =>
    new library.Tensor(
      "int64",
      BigInt64Array.from({ length: rows * columns }, (_, i) => BigInt(value(i))),
      [rows, columns],
    );
  /** When each step's tokens came. */
  const generate = async (rows: number, prompt: number, tokens: number): Promise<number[]> => {
    counter += 1;
    const times: number[] = [];
    await loaded.generate({
      inputs: tensor(rows, prompt, (i) => FIRST_WORD + ((counter * 7919 + i * 31) % 31_000)),
      attention_mask: tensor(rows, prompt, () => 1),
      max_new_tokens: tokens,
      min_new_tokens: tokens,
      do_sample: false,
      streamer: { put: () => times.push(performance.now()), end: () => {} },
    });
    // The first call has the prompt.
    return times.slice(1);
  };
  return {
    measure: async (order) => await measure(order, generate),
    [Symbol.asyncDispose]: async () => void (await loaded.dispose()),
  };
}

async function measure(
  order: Order,
  generate: (rows: number, prompt: number, tokens: number) => Promise<number[]>,
): Promise<Figures> {
  switch (order.measure) {
    case "prompt": {
      const startedAt = performance.now();
      const [first = Number.NaN] = await generate(1, order.tokens, 1);
      return { tokens: order.tokens, ms: first - startedAt };
    }
    case "decode": {
      const times = await generate(order.streams, SHORT_PROMPT, order.tokens);
      const { tokens, ms } = windowRate([times.map((at) => ({ at, tokens: order.streams }))]);
      return { tokens, ms };
    }
    case "image":
      throw new Error("only the language model is here.");
  }
}

if (import.meta.main) {
  const [folder = "", source = "", threads = ""] = process.argv.slice(2);
  const model = path.join(source, "transformers-js");
  await writeTransformersJsModel(source, model);
  await servePeer(async () => await loadTransformersJs({ folder, model, threads: Number(threads) }));
}
