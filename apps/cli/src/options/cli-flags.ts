/** The command lines of `llava serve` and `llava chat`: apart from what they start, so that each flag can be tested alone. */
import { fileURLToPath } from "node:url";
import { addDoorFlags, type DoorFlags } from "@llava/server/command";
import { Command, InvalidArgumentError, Option } from "commander";
import { number, whole } from "./flag-values.ts";
import { addPassedFlags } from "./passed-flags.ts";

export type WeightDType = "float32" | "float16" | "int8" | "int4";

export interface ServeFlags extends DoorFlags {
  /** The page's port. */
  readonly port: number;
  readonly controllerPort: number;
  /** The first worker's port; each further worker takes the next one. 0 lets the system choose. */
  readonly workerPort: number;
  /** Folders, a worker each; the demo model when absent. */
  readonly modelPath?: readonly string[];
  /** To serve them under, in their order. */
  readonly modelName?: readonly string[];
  readonly device: string;
  readonly convMode?: string;
  readonly threads?: number;
  /** Also what --load-4bit and --load-8bit set. */
  readonly dtype: WeightDType;
  readonly quantizeVision?: boolean;
  readonly limitModelConcurrency: number;
  /** Seconds. */
  readonly heartbeatInterval: number;
  /** Seconds. */
  readonly drainTimeout: number;
  readonly verbose: boolean;
}

export interface ChatFlags {
  readonly modelPath: string;
  readonly imageFile?: readonly string[];
  readonly prompt?: string;
  readonly temperature: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly seed?: number;
  readonly maxNewTokens: number;
  readonly convMode?: string;
  readonly device: string;
  readonly threads?: number;
  /** Also what --load-4bit and --load-8bit set. */
  readonly dtype: WeightDType;
  readonly quantizeVision?: boolean;
  readonly json: boolean;
}

/** The model that ships with the project. */
export const DEMO_MODEL = fileURLToPath(
  new URL("../../../../packages/demo/model/llava-demo", import.meta.url),
);

const SERVE_EXAMPLES = `
Examples:
  llava serve                                              the demo model, page at http://127.0.0.1:7860
  llava serve --model-path ./llava-v1.5-7b-hf --device cuda
  llava serve --model-path ./llava-v1.5-7b-hf --load-4bit  in 6 GB of memory instead of 28
  llava serve --model-path ./model-a --model-path ./model-b      two models, a worker each
  llava serve --port 8080 --controller-port 10001          when a port is taken
  llava serve --host 0.0.0.0 --api-key-file keys.txt       for other machines; the browser asks for the key`;

const CHAT_EXAMPLES = `
Examples:
  llava chat --image cat.png --prompt "What is this?"      one answer, then exit
  llava chat --image a.png --image b.png                   a conversation about two images
  llava chat --model-path ./llava-v1.5-7b-hf --device cuda
  llava chat --image cat.png --prompt "Read the sign." --json    events as JSON lines

In a conversation:
  /image PATH   add an image to the next question
  /reset        forget the conversation and its images
  /quit         leave (so does an empty line)
  Ctrl-C        stop the answer that is being written`;

export function addServeFlags(command: Command): Command {
  addEngineFlags(command);
  refuseForNow(command);
  addDoorFlags(command, { hasCluster: false });
  addPassedFlags(command);
  return command
    .option(
      "--model-path <folder>",
      "folder of a LLaVA checkpoint; repeat for several models (default: the demo model)",
      collect,
    )
    .option(
      "--model-name <name>",
      "name to serve it under; one for each model (default: the folder's)",
      collect,
    )
    .addOption(new Option("--host <name>", "address that the page listens on").default("127.0.0.1"))
    .addOption(new Option("--port <number>", "port of the page").default(7860).argParser(whole(0, 65_535)))
    .addOption(
      new Option("--controller-port <number>", "port of the controller")
        .default(10_000)
        .argParser(whole(0, 65_535)),
    )
    .addOption(
      new Option("--worker-port <number>", "port of the first worker")
        .default(40_000)
        .argParser(whole(0, 65_535)),
    )
    .addOption(
      new Option("--limit-model-concurrency <number>", "requests that run at the same time on a worker")
        .default(5)
        .argParser(whole(1, 1024)),
    )
    .addOption(
      new Option("--heartbeat-interval <seconds>").default(15).argParser(number(0.01, 86_400)).hideHelp(),
    )
    .addOption(
      new Option("--drain-timeout <seconds>", "time that running answers get to end when stopped")
        .default(5)
        .argParser(number(0, 86_400)),
    )
    .option("--verbose", "show what the programs log", false)
    .addHelpText("after", SERVE_EXAMPLES);
}

export function addChatFlags(command: Command): Command {
  addEngineFlags(command);
  refuseForNow(command);
  return command
    .addOption(
      new Option("--model-path <folder>", "folder of a LLaVA checkpoint").default(
        DEMO_MODEL,
        "the demo model",
      ),
    )
    .option("--image, --image-file <path>", "image to talk about; repeat for several", collect)
    .option("--prompt <text>", "ask this, print the answer and exit")
    .addOption(
      new Option("--temperature <number>", "0 always takes the likeliest word")
        .default(0.2)
        .argParser(number(0, 2)),
    )
    .addOption(
      new Option("--top-p <number>", "choose among words that make up this share").argParser(number(0, 1)),
    )
    .addOption(new Option("--top-k <number>", "choose among this many words").argParser(whole(1, 1_000_000)))
    .addOption(
      new Option("--seed <number>", "the same seed gives the same answer").argParser(whole(0, 2 ** 31 - 1)),
    )
    .addOption(
      new Option("--max-new-tokens <number>", "longest answer").default(512).argParser(whole(1, 1_000_000)),
    )
    .option("--json", "print the engine's events as JSON lines", false)
    .addHelpText("after", CHAT_EXAMPLES);
}

function addEngineFlags(command: Command): void {
  command
    .addOption(
      new Option("--device <device>", "cpu, cuda, cuda:N or webgpu").default("cpu").argParser(device),
    )
    .option("--conversation, --conv-mode <template>", "conversation template (default: the model's own)")
    .addOption(
      new Option("--threads <number>", "CPU threads (default: all cores)").argParser(whole(1, 1024)),
    );
  addDtype(command);
}

/** Three names for one thing, of which only one can be given: `conflicts` of commander would see what a name implies, too. */
function addDtype(command: Command): void {
  let given: string | null = null;
  const claim = <T>(flag: string, value: T): T => {
    if (given !== null && given !== flag) throw new InvalidArgumentError(`It cannot be used with ${given}.`);
    given = flag;
    return value;
  };
  const dtypes = ["float32", "float16", "int8", "int4"];
  command.addOption(
    new Option(
      "--dtype <type>",
      "weights: float32 (fastest), float16 (half the memory, slow), int8, int4 (an eighth, fast)",
    )
      .default("float32")
      .argParser((text) => {
        if (!dtypes.includes(text)) throw new InvalidArgumentError(`Give ${dtypes.join(", ")}.`);
        return claim("--dtype", text);
      }),
  );
  for (const [flag, dtype] of [
    ["--load-8bit", "int8"],
    ["--load-4bit", "int4"],
  ] as const) {
    command.addOption(
      new Option(flag, `the same as --dtype ${dtype}; quantized once, then kept in the cache`)
        .preset(true)
        .argParser(() => claim(flag, true))
        .implies({ dtype }),
    );
  }
  command.addOption(new Option("--quantize-vision", "with int8 and int4: the vision tower, too"));
}

/** Flags of the original that cannot work yet say so by name instead of being ignored. */
function refuseForNow(command: Command): void {
  const refused: readonly (readonly [string, string])[] = [
    [
      "--model-base [path]",
      "checkpoints cannot be put on a base model yet. Merge them first and give --model-path",
    ],
  ];
  for (const [flags, sentence] of refused) {
    const refuse = (): never => {
      throw new InvalidArgumentError(`${flags.split(" ")[0]} is known, but ${sentence}.`);
    };
    command.addOption(new Option(flags).preset("").hideHelp().argParser(refuse));
  }
}

function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}

function device(text: string): string {
  if (!/^(cpu|cuda(:\d{1,2})?|webgpu)$/.test(text))
    throw new InvalidArgumentError("Give cpu, cuda, cuda:N or webgpu.");
  return text;
}
