/** The table of commands: what `llava` understands, and how each command's outcome becomes an exit code. */
import { toLlavaError } from "@llava/protocol";
import { Command, CommanderError } from "commander";
import { addChatFlags, addServeFlags, type ChatFlags, type ServeFlags } from "./flags.ts";
import { isProgram, runProgram, type Program } from "./programs.ts";
import { version } from "./version.ts";

const DONE = 0;
const FAILED = 1;
const MISUSED = 2;

const EXAMPLES = `
Examples:
  llava serve                                        everything at once, with the demo model
  llava chat --image cat.png --prompt "What is it?"  one answer in the terminal
  llava worker --help                                each command explains itself

One machine per part:
  llava controller --host 0.0.0.0
  llava worker --controller http://10.0.0.5:10000 --model-path ./llava-v1.5-7b-hf --host 0.0.0.0
  llava web --controller http://10.0.0.5:10000`;

const PROGRAM_SUMMARIES: readonly (readonly [Program, string])[] = [
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
    await command.parseAsync(argv.length === 0 ? ["--help"] : argv, { from: "user" });
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
    .description("LLaVA: talk with a model about pictures, in the browser or in the terminal.")
    .version(version(), "-v, --version", "show the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .addHelpText("after", EXAMPLES)
    .exitOverride();
  addServeFlags(llava.command("serve").description("Starts controller, worker and page together.")).action(
    async (flags: ServeFlags) => endWith(await serveCommand(flags)),
  );
  addChatFlags(
    llava.command("chat").description("Talks with a model in the terminal; no server is needed."),
  ).action(async (flags: ChatFlags) => endWith(await chatCommand(flags)));
  // These parse their own flags in their own process; here they are only listed.
  for (const [program, summary] of PROGRAM_SUMMARIES) llava.command(program).description(summary);
  return llava;
}

// Loaded on demand: `llava --help` must not wait for the engine's native library.
async function serveCommand(flags: ServeFlags): Promise<number> {
  const { serveUntilStopped } = await import("./serve.ts");
  await serveUntilStopped(flags);
  return DONE;
}

async function chatCommand(flags: ChatFlags): Promise<number> {
  const { chat } = await import("./chat.ts");
  return await chat(flags);
}
