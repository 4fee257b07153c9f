/** Adds to each command of `llava` its options, which are rows of the table in packages/server/src/options, and its help. */
import { addOptions, WATCH_S, type OptionsOf } from "@llava/server/command";
import type { Command } from "commander";

export type ServeFlags = OptionsOf<"serve">;
export type ChatFlags = OptionsOf<"chat">;
export type PsFlags = OptionsOf<"ps">;
export type DoctorFlags = OptionsOf<"doctor">;
export type KeysFlags = OptionsOf<"keys">;

const EXAMPLES = {
  serve: `
Examples:
  llava serve                                              the demo model, page at http://127.0.0.1:7860
  llava serve --model-path ./llava-v1.5-7b-hf --device cuda
  llava serve --model-path ./llava-v1.5-7b-hf --load-4bit  in 6 GB of memory instead of 28
  llava serve --model-path ./model-a --model-path ./model-b      two models, a worker each
  llava serve --port 8080 --controller-port 10001          when a port is taken
  llava serve --host 0.0.0.0 --api-key-file keys.txt       for other machines; the browser asks for the key`,
  chat: `
Examples:
  llava chat --image cat.png --prompt "What is this?"      one answer, then exit
  llava chat --image a.png --image b.png                   a conversation about two images
  llava chat --model-path ./llava-v1.5-7b-hf --device cuda
  llava chat --image cat.png --prompt "Read the sign." --json    events as JSON lines

In a conversation:
  /image PATH   add an image to the next question
  /reset        forget the conversation and its images
  /quit         leave (so does an empty line)
  Ctrl-C        stop the answer that is being written`,
  ps: `
Examples:
  llava ps                                        workers of the controller on this machine
  llava ps --watch                                again every ${WATCH_S} s until Ctrl-C
  llava ps --controller http://10.0.0.5:10000 --controller-key-file admin-key.txt
  llava ps --json | jq '.data[].address'          for programs

Columns:
  STATE     ready, or draining: it finishes what runs and takes nothing new; "left alone" when it kept failing
  QUEUE     requests in the worker, running and waiting
  RUNNING   requests that have a place, of how many places
  TOK/S     of all its answers together, mean of 10 s, as it last reported
  -         is not known; workers of the original project say little`,
  doctor: `
Examples:
  llava doctor                                    this machine, before the first start or when something is wrong
  llava doctor --model-path ./llava-v1.5-7b-hf --device cuda
  llava doctor --model-path ./llava-v1.5-7b-hf --load-4bit       whether it fits into memory in 4 bits
  llava doctor --controller http://10.0.0.5:10000 --controller-key-file admin-key.txt

Each line begins with "ok", "note" (nothing to do unless you want it) or "wrong" (with what to do). The exit code is 1
when one is wrong.`,
  keys: `
Examples:
  llava keys add anna --file keys.txt             a person's key
  llava keys add page --file keys.txt --unlimited the key of a web server, which counts its own clients`,
} as const;

/** @returns the command, whose action then gets the program's `OptionsOf` */
export function addCommandOptions(command: Command, program: keyof typeof EXAMPLES): Command {
  return addOptions(command, program).addHelpText("after", EXAMPLES[program]);
}
