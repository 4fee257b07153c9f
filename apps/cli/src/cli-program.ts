/** Declares the commands of `llava` and turns the outcome of each into an exit code. */
import { toLlavaError } from "@llava/protocol";
import { withDashes, type AppName } from "@llava/server/command";
import { Command, CommanderError } from "commander";
import {
  addCommandOptions,
  type ChatFlags,
  type DoctorFlags,
  type PsFlags,
  type ServeFlags,
} from "./options/command-options.ts";
import { addKey } from "./commands/keys.ts";
import { isProgram, runProgram } from "./commands/serve/app-programs.ts";
import { version } from "./output/cli-version.ts";

const DONE = 0;
const FAILED = 1;
const MISUSED = 2;

const EXAMPLES = `
Examples:
  llava serve                                        everything at once, with the demo model
  llava chat --image cat.png --prompt "What is it?"  one answer in the terminal
  llava ps                                           the workers and how busy they are
  llava doctor                                       what is wrong, and what to do
  llava worker --help                                each command explains itself

One machine per part:
  llava keys add anna --file keys.txt
  llava controller --host 0.0.0.0 --api-key-file keys.txt --cluster-token-file cluster.txt
  llava worker --controller http://10.0.0.5:10000 --model-path ./llava-v1.5-7b-hf --host 0.0.0.0 \\
      --cluster-token-file cluster.txt
  llava web --controller http://10.0.0.5:10000 --controller-key-file page-key.txt`;

const PROGRAM_SUMMARIES: readonly (readonly [AppName, string])[] = [
  ["controller", "run the controller alone: knows the workers and passes requests to them"],
  ["worker", "run one worker alone: serves one model"],
  ["web", "run the page alone"],
];

/** @returns the exit code: 0 done, 1 failed (one sentence is on stderr), 2 wrong usage, 130 stopped by Ctrl-C */
export async function runCli(argv: readonly string[]): Promise<number> {
  const [name, ...flags] = argv;
  try {
    if (isProgram(name)) return await runProgram(name, flags);
    let exitCode = DONE;
    const command = llavaCommand((code) => (exitCode = code));
    await command.parseAsync(argv.length === 0 ? ["--help"] : withDashes(argv), { from: "user" });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? DONE : MISUSED;
    const error = toLlavaError(thrown);
    process.stderr.write(`${error.message}\n`);
    if (error.code === "internal") console.error(error.cause ?? error);
    return FAILED;
  }
}

function llavaCommand(endWith: (exitCode: number) => void): Command {
  const llava = new Command("llava")
    .description("LLaVA: talk with a model about images, in the browser or in the terminal.")
    .version(version(), "-v, --version", "show the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .addHelpText("after", EXAMPLES)
    .exitOverride();
  const add = (name: "serve" | "chat" | "ps" | "doctor", summary: string): Command =>
    addCommandOptions(llava.command(name).description(summary), name);
  add("serve", "Starts controller, worker and page together.").action(async (flags: ServeFlags) =>
    endWith(await serveCommand(flags)),
  );
  add("chat", "Talks with a model in the terminal; no server is needed.").action(async (flags: ChatFlags) =>
    endWith(await chatCommand(flags)),
  );
  add("ps", "Shows a controller's workers.").action(psCommand);
  add("doctor", "Looks for what is wrong and says what to do.").action(async (flags: DoctorFlags) =>
    endWith(await doctorCommand(flags)),
  );
  addKeysCommand(llava);
  // These programs parse their options in their own process; here they are only listed in the help.
  for (const [program, summary] of PROGRAM_SUMMARIES) llava.command(program).description(summary);
  return llava;
}

function addKeysCommand(llava: Command): void {
  const add = llava
    .command("keys")
    .description("Makes API keys.")
    .command("add")
    .description("Makes a key, shows it once and adds its hash to the file.")
    .argument("<name>", "whose it is: letters, digits, dots, dashes, underscores");
  addCommandOptions(add, "keys").action(addKey);
}

// Loaded on demand: `llava --help` must not wait for the engine's native library.
async function serveCommand(flags: ServeFlags): Promise<number> {
  const { serveUntilStopped } = await import("./commands/serve/serve.ts");
  await serveUntilStopped(flags);
  return DONE;
}

async function psCommand(flags: PsFlags): Promise<void> {
  const { ps } = await import("./commands/ps.ts");
  await ps(flags);
}

async function doctorCommand(flags: DoctorFlags): Promise<number> {
  const { doctor } = await import("./commands/doctor/doctor.ts");
  return await doctor(flags);
}

async function chatCommand(flags: ChatFlags): Promise<number> {
  const { chat } = await import("./commands/chat/chat-command.ts");
  return await chat(flags);
}
