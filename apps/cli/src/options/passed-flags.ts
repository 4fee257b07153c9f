/**
 * The flags of single programs that `llava serve` takes and hands on as they are, and those that it cannot take: one table,
 * because a flag that is forgotten here can be given to a worker alone and not to the workers of `serve`.
 */
import { Command, InvalidArgumentError, Option } from "commander";
import type { Program } from "../commands/serve/app-programs.ts";
import { number, whole } from "./flag-values.ts";

interface PassedFlag {
  readonly flags: string;
  readonly help: string;
  readonly to: readonly Program[];
  /** Refuses a value here and not only in the program, where that is simple. */
  readonly parse?: (text: string) => unknown;
  readonly choices?: readonly string[];
  readonly isRepeated?: boolean;
}

const PASSED: readonly PassedFlag[] = [
  {
    flags: "--dispatch, --dispatch-method <method>",
    help: "how a worker is picked (default: shortest_queue)",
    to: ["controller"],
    choices: ["lottery", "shortest_queue", "power_of_two", "image_affinity"],
  },
  {
    flags: "--heartbeat-expiry <seconds>",
    help: "silence after which a worker is dropped (default: 30)",
    to: ["controller"],
    parse: number(0.01, 86_400),
  },
  {
    flags: "--request-deadline <seconds>",
    help: "time after which an answer is ended, however far it is (default: 900)",
    to: ["controller"],
    parse: number(0.01, 86_400),
  },
  {
    flags: "--conversation-log <folder>",
    help: "write down what people ask and get, with their images; tell them so",
    to: ["web"],
  },
  {
    flags: "--shorten-addresses",
    help: "write only the network of who asked into the conversation log",
    to: ["web"],
  },
  {
    flags: "--page-folder <folder>",
    help: "where the built page lies, if not with this program",
    to: ["web"],
  },
  {
    flags: "--log-level <level>",
    help: "least important line to log; --verbose shows them",
    to: ["controller", "worker", "web"],
    choices: ["trace", "debug", "info", "warn", "error", "fatal", "silent"],
  },
  {
    flags: "--log-prompts",
    help: "write what is asked into the workers' log; images never are",
    to: ["worker"],
  },
  {
    flags: "--kv-cache-mib <number>",
    help: "most memory of a worker for keys and values (default: a quarter of what is free)",
    to: ["worker"],
    parse: whole(1, 2 ** 24),
  },
  {
    flags: "--image-processes <number>",
    help: "processes of a worker that decode images (default: 2)",
    to: ["worker"],
    parse: whole(1, 64),
  },
  {
    flags: "--allow-image-urls",
    help: "fetch images by their https addresses, of public hosts only",
    to: ["worker"],
  },
  { flags: "--allow-http-image-urls", help: "also by http addresses", to: ["worker"] },
  {
    flags: "--allowed-image-domain <name>",
    help: "fetch from this host only, *.example.com for all below; repeat for several",
    to: ["worker"],
    isRepeated: true,
  },
  {
    flags: "--allowed-image-port <number>",
    help: "fetch from this port too, beside 443 (and 80 of http); repeat for several",
    to: ["worker"],
    parse: whole(1, 65_535),
    isRepeated: true,
  },
  {
    flags: "--denied-image-network <network>",
    help: "fetch nothing from these addresses, such as 203.0.113.0/24; repeat for several",
    to: ["worker"],
    isRepeated: true,
  },
  {
    flags: "--image-url-redirects <number>",
    help: "redirects that are followed, each under the same rules (default: 0)",
    to: ["worker"],
    parse: whole(0, 3),
  },
];

const ELSEWHERE = 'For parts on several machines run "llava controller", "llava worker" and "llava web"';

/** Flags of the programs that mean nothing, or something else, when one command starts them all. */
const REFUSED: readonly (readonly [string, string])[] = [
  [
    "--controller, --controller-address, --controller-url <url>",
    `serve starts its own controller. ${ELSEWHERE}`,
  ],
  ["--worker, --worker-address <url>", `serve's workers are called on this machine. ${ELSEWHERE}`],
  ["--no-register", `serve's workers report to its controller. ${ELSEWHERE}`],
  ["--worker-network <network>", "serve's workers are on this machine. Leave the flag out"],
  ["--controller-key-file <file>", "serve's page needs no key for serve's controller. Leave the flag out"],
  [
    "--cluster-token-file <file>",
    "serve makes a token for its own programs. Leave the flag out, or set LLAVA_CLUSTER_TOKEN in the environment",
  ],
];

export function addPassedFlags(command: Command): Command {
  for (const passed of PASSED) command.addOption(optionOf(passed));
  for (const [flags, sentence] of REFUSED) {
    for (const option of refusedOptions(flags, sentence)) command.addOption(option);
  }
  return command;
}

/** What a program gets of a command line that `addPassedFlags` has read: only what was given. */
export function passedArguments(options: object, program: Program): string[] {
  return PASSED.filter(({ to }) => to.includes(program)).flatMap((passed) => {
    const option = optionOf(passed);
    const value: unknown = Reflect.get(options, option.attributeName());
    const name = option.long ?? "";
    if (value === undefined || value === false) return [];
    if (value === true) return [name];
    return [value]
      .flat()
      .filter((one) => typeof one === "string" || typeof one === "number")
      .flatMap((one) => [name, String(one)]);
  });
}

function optionOf({ flags, help, parse = String, choices, isRepeated = false }: PassedFlag): Option {
  const option = new Option(flags, help);
  if (choices !== undefined) return option.choices([...choices]);
  if (!option.required) return option;
  return option.argParser((text: string, earlier: unknown) =>
    isRepeated ? [...(Array.isArray(earlier) ? earlier : []), parse(text)] : parse(text),
  );
}

/** One for each of the flag's names, so that the sentence has the one that was given. */
function refusedOptions(flags: string, sentence: string): Option[] {
  const value = /<(.*)>$/.exec(flags)?.[1] ?? "value";
  return [...flags.matchAll(/--[a-z-]+/g)].map(([name]) =>
    new Option(name.startsWith("--no-") ? name : `${name} [${value}]`)
      // Without it a flag that was given without a value would not be read, and so not be refused.
      .preset("")
      .hideHelp()
      .argParser(() => {
        throw new InvalidArgumentError(`${name} is known, but ${sentence}.`);
      }),
  );
}
