/** The worker's command line: apart from main, so that every flag and refusal can be tested without a process. */
import { addDoorFlags, type DoorFlags } from "@llava/server";
import { HEARTBEAT_INTERVAL_MS } from "@llava/protocol";
import { Command, InvalidArgumentError, Option } from "commander";
import { parseNetwork, type Network } from "./images/fetch/public-address.ts";

export interface WorkerFlags extends DoorFlags {
  readonly port: number;
  /** Advertised to the controller; derived from host and port when absent. */
  readonly workerAddress?: string;
  /** Of every controller to report to, each once. */
  readonly controllerAddress: readonly string[];
  readonly modelPath: string;
  readonly modelName?: string;
  readonly device: string;
  readonly convMode?: string;
  readonly threads?: number;
  /** Also what --load-4bit and --load-8bit set. */
  readonly dtype: "float32" | "float16" | "int8" | "int4";
  readonly quantizeVision?: boolean;
  readonly limitModelConcurrency: number;
  readonly kvCacheMib?: number;
  readonly register: boolean;
  /** Seconds. */
  readonly heartbeatInterval: number;
  /** Seconds. */
  readonly drainTimeout: number;
  readonly logLevel: string;
  readonly logPrompts?: boolean;
  /** Images that are decoded at the same time. */
  readonly imageProcesses: number;
  readonly allowImageUrls?: boolean;
  readonly allowHttpImageUrls?: boolean;
  readonly allowedImageDomain?: readonly string[];
  readonly allowedImagePort?: readonly number[];
  readonly deniedImageNetwork?: readonly Network[];
  readonly imageUrlRedirects: number;
}

/** Flags of the original that name things this version cannot do; each says so by name instead of being ignored. */
const NOT_YET: readonly (readonly [string, string])[] = [
  [
    "--model-base [path]",
    "LoRA and projector-only checkpoints cannot be put on a base model yet. Merge them first and give the merged folder to --model-path",
  ],
];

/** Flags of the original that change nothing here; accepted so that old start scripts keep working. */
const WITHOUT_EFFECT = ["--multi-modal", "--use-flash-attn", "--stream-interval <tokens>"];

const DEFAULT_CONTROLLERS: readonly string[] = ["http://127.0.0.1:10000"];
const MAX_CONTROLLERS = 16;

const EXAMPLES = `
Examples:
  llava worker --model-path ./llava-v1.5-7b-hf
  llava worker --model-path ./my-model --model-name my-model --port 40001
  llava worker --model-path ./my-model --device cuda:1 --controller http://10.0.0.5:10000 \\
      --host 0.0.0.0 --cluster-token-file cluster.txt
  llava worker --model-path ./llava-v1.5-7b-hf --load-4bit    in 6 GB instead of 28
  llava worker --model-path ./my-model --no-register       serve alone, without a controller`;

/** @throws CommanderError on a usage error or after --help, with `exitCode` */
export function parseWorkerFlags(argv: readonly string[], write?: (text: string) => void): WorkerFlags {
  const command = workerCommand();
  if (write) command.configureOutput({ writeOut: write, writeErr: write });
  command.parse(argv, { from: "user" });
  return command.opts<WorkerFlags>();
}

function workerCommand(): Command {
  const command = new Command("llava worker")
    .description("Serves one model over HTTP and reports to a controller.")
    .helpOption("-h, --help", "show this help")
    .addHelpText("after", EXAMPLES)
    .allowExcessArguments(false)
    .exitOverride();
  addServing(command);
  addModel(command);
  addImages(command);
  addDoorFlags(command, { hasCluster: true });
  for (const [flags, sentence] of NOT_YET) command.addOption(refused(flags, sentence));
  for (const flags of WITHOUT_EFFECT) command.addOption(new Option(flags).hideHelp());
  return command;
}

function addServing(command: Command): void {
  command
    .addOption(new Option("--host <name>", "address to listen on").default("127.0.0.1"))
    .addOption(new Option("--port <number>", "port to listen on").default(40_000).argParser(port))
    .addOption(
      new Option(
        "--worker, --worker-address <url>",
        "address that the controller calls (default: from host and port)",
      ).argParser(httpUrl),
    )
    .addOption(
      new Option(
        "--controller, --controller-address <url>",
        "controller to report to; for several separate them by commas or repeat the flag",
      )
        .default(DEFAULT_CONTROLLERS, "http://127.0.0.1:10000")
        .argParser(httpUrls),
    )
    .addOption(new Option("--no-register", "report to no controller"))
    .addOption(
      new Option("--limit-model-concurrency <number>", "requests that run at the same time")
        .default(5)
        .argParser(whole(1, 1024)),
    )
    .addOption(
      new Option("--heartbeat-interval <seconds>", "time between reports")
        .default(HEARTBEAT_INTERVAL_MS / 1000)
        .argParser(seconds),
    )
    .addOption(
      new Option("--drain-timeout <seconds>", "time that running answers get to end when stopped")
        .default(30)
        .argParser(seconds),
    )
    .addOption(
      new Option("--log-level <level>", "least important line to log")
        .default("info")
        .choices(["trace", "debug", "info", "warn", "error", "fatal", "silent"]),
    )
    .addOption(new Option("--log-prompts", "write what is asked into the log; images never are"));
}

function addModel(command: Command): void {
  command
    .requiredOption("--model-path <folder>", "folder of a LLaVA checkpoint in Hugging Face layout")
    .option("--model-name <name>", "name to serve it under (default: from the folder's name)")
    .addOption(
      new Option("--device <device>", "cpu, cuda, cuda:N or webgpu").default("cpu").argParser(device),
    )
    .option("--conversation, --conv-mode <template>", "conversation template (default: the model's own)")
    .addOption(new Option("--threads <number>", "CPU threads (default: all cores)").argParser(whole(1, 1024)))
    .addOption(
      new Option(
        "--kv-cache-mib <number>",
        "most memory for keys and values, of running and remembered requests (default: a quarter of what is free)",
      ).argParser(whole(1, 2 ** 24)),
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

function addImages(command: Command): void {
  command
    .addOption(
      new Option("--image-processes <number>", "processes that decode images")
        .default(2)
        .argParser(whole(1, 64)),
    )
    .addOption(
      new Option("--allow-image-urls", "fetch images by their https addresses, of public hosts only"),
    )
    .addOption(new Option("--allow-http-image-urls", "also by http addresses"))
    .addOption(
      new Option(
        "--allowed-image-domain <name>",
        "fetch from this host only, *.example.com for all below; repeat for several",
      ).argParser(collect((text) => text)),
    )
    .addOption(
      new Option(
        "--allowed-image-port <number>",
        "fetch from this port too, beside 443 (and 80 of http); repeat for several",
      ).argParser(collect(whole(1, 65_535))),
    )
    .addOption(
      new Option(
        "--denied-image-network <network>",
        "fetch nothing from these addresses, such as 203.0.113.0/24; repeat for several",
      ).argParser(collect(network)),
    )
    .addOption(
      new Option("--image-url-redirects <number>", "redirects that are followed, each under the same rules")
        .default(0)
        .argParser(whole(0, 3)),
    );
}

function collect<T>(parse: (text: string) => T): (text: string, before?: readonly T[]) => readonly T[] {
  return (text, before = []) => [...before, parse(text)];
}

function network(text: string): Network {
  const parsed = parseNetwork(text);
  if (parsed === null)
    throw new InvalidArgumentError("Give a network such as 203.0.113.0/24 or 2001:db8::/32.");
  return parsed;
}

function refused(flags: string, sentence: string): Option {
  const name = flags.split(" ")[0];
  // The preset stands for a value that was left out; without it the flag would then be ignored.
  return new Option(flags)
    .preset("")
    .hideHelp()
    .argParser(() => {
      throw new InvalidArgumentError(`${name} is known, but ${sentence}.`);
    });
}

function port(text: string): number {
  return whole(0, 65_535)(text);
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
    return value;
  };
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value <= 0 || value > 86_400)
    throw new InvalidArgumentError("Give a number of seconds above 0, up to 86400.");
  return value;
}

function httpUrls(text: string, before: readonly string[]): readonly string[] {
  const earlier = before === DEFAULT_CONTROLLERS ? [] : before;
  const urls = new Set([...earlier, ...text.split(",").map((url) => httpUrl(url.trim()))]);
  if (urls.size > MAX_CONTROLLERS)
    throw new InvalidArgumentError(`Give at most ${MAX_CONTROLLERS} controllers.`);
  return [...urls];
}

/** @returns the address without a trailing slash, so that a path can be appended */
function httpUrl(text: string): string {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username)
    throw new InvalidArgumentError("Give an address such as http://10.0.0.5:10000.");
  return url.href.replace(/\/+$/, "");
}

function device(text: string): string {
  if (!/^(cpu|cuda(:\d{1,2})?|webgpu)$/.test(text))
    throw new InvalidArgumentError("Give cpu, cuda, cuda:N or webgpu.");
  return text;
}
