/** Runs the conversation in the terminal: reads lines and `/commands`; Ctrl-C stops an answer without leaving. */
import { createInterface, type Interface } from "node:readline/promises";
import { toLlavaError } from "@llava/protocol";
import type { Conversation } from "./chat-conversation.ts";
import { readImageFile } from "./image-file.ts";
import type { PrintEvent } from "../../output/printer.ts";

export interface ChatLoop {
  readonly conversation: Conversation;
  readonly modelName: string;
  readonly print: PrintEvent;
}

/** @returns the exit code: 0, also after questions that failed, whose errors are on stderr */
export async function chatLoop(loop: ChatLoop): Promise<number> {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
  using lines = createInterface({ input: process.stdin, ...(isTerminal ? { output: process.stdout } : {}) });
  let answer: AbortController | null = null;
  const onInterrupt = (): void => {
    if (answer) return answer.abort();
    printNotice("");
    lines.close();
  };
  lines.on("SIGINT", onInterrupt);
  process.on("SIGINT", onInterrupt);
  if (isTerminal)
    printNotice(`Talking with ${loop.modelName}. /image PATH, /reset, /quit; Ctrl-C stops an answer.`);
  try {
    for await (const line of questions(lines, isTerminal)) {
      if (line === "/quit") break;
      answer = new AbortController();
      await runLine(loop, line, isTerminal, answer.signal);
      answer = null;
    }
  } finally {
    process.off("SIGINT", onInterrupt);
  }
  if (isTerminal) printNotice("exit...");
  return 0;
}

/** Lines until the input ends or, as in LLaVA's `cli.py`, an empty one comes. */
async function* questions(lines: Interface, isTerminal: boolean): AsyncGenerator<string> {
  const ask = (): void => {
    if (!isTerminal) return;
    lines.setPrompt("USER: ");
    lines.prompt();
  };
  ask();
  for await (const line of lines) {
    if (line.trim() === "") return;
    yield line.trim();
    ask();
  }
}

async function runLine(
  loop: ChatLoop,
  line: string,
  isTerminal: boolean,
  signal: AbortSignal,
): Promise<void> {
  const [command = ""] = line.split(/\s+/, 1);
  try {
    if (command === "/reset") {
      loop.conversation.reset();
      printNotice("The conversation is forgotten.");
    } else if (command === "/image") {
      const path = unquoted(line.slice(command.length).trim());
      loop.conversation.attach(await readImageFile(path));
      printNotice(`${path} is shown with the next question.`);
    } else if (/^\/\w+$/.test(command)) {
      printNotice(`${command} is not a command. There are /image PATH, /reset and /quit.`);
    } else {
      await answer(loop, line, isTerminal, signal);
    }
  } catch (thrown) {
    printNotice(toLlavaError(thrown).message);
  }
}

async function answer(
  { conversation, print }: ChatLoop,
  question: string,
  isTerminal: boolean,
  signal: AbortSignal,
): Promise<void> {
  if (isTerminal) process.stdout.write("ASSISTANT: ");
  for await (const event of conversation.ask(question, signal)) {
    print(event);
    if (event.type === "error") printNotice(signal.aborted ? "(stopped)" : event.error.message);
  }
}

/** Terminals put quotes around the path of a file that is dropped on them. */
function unquoted(path: string): string {
  return /^(["']).*\1$/.test(path) ? path.slice(1, -1) : path;
}

function printNotice(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}
