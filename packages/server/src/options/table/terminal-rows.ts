/** Declares the options of the commands that a person runs in the terminal: chat, ps, keys. */
import type { OptionRows } from "./option-row.ts";
import { number, text, whole } from "./value-readers.ts";

/** Seconds between two looks of `llava ps --watch`. */
export const WATCH_S = 2;

export const TERMINAL_ROWS = {
  imageFile: {
    flags: "--image, --image-file <path>",
    help: "image to talk about; repeat for several",
    reader: text,
    several: {},
    programs: { chat: {} },
  },
  prompt: {
    flags: "--prompt <text>",
    help: "ask this, print the answer and exit",
    reader: text,
    programs: { chat: {} },
  },
  temperature: {
    flags: "--temperature <number>",
    help: "0 always takes the likeliest word",
    reader: number(0, 2),
    programs: { chat: { default: 0.2 } },
  },
  topP: {
    flags: "--top-p <number>",
    help: "choose among words that make up this share",
    reader: number(0, 1),
    programs: { chat: {} },
  },
  topK: {
    flags: "--top-k <number>",
    help: "choose among this many words",
    reader: whole(1, 1_000_000),
    programs: { chat: {} },
  },
  seed: {
    flags: "--seed <number>",
    help: "the same seed gives the same answer",
    reader: whole(0, 2 ** 31 - 1),
    programs: { chat: {} },
  },
  maxNewTokens: {
    flags: "--max-new-tokens <number>",
    help: "longest answer",
    reader: whole(1, 1_000_000),
    programs: { chat: { default: 512 } },
  },
  json: {
    flags: "--json",
    help: "print what the controller says as JSON",
    programs: {
      chat: { default: false, help: "print the engine's events as JSON lines" },
      ps: { default: false },
    },
  },
  watch: {
    flags: "--watch [seconds]",
    help: `look again and again, every ${WATCH_S} s if not said otherwise`,
    reader: number(0.1, 86_400, "seconds"),
    isValueOptional: true,
    programs: { ps: {} },
  },
  file: {
    flags: "--file <file>",
    help: "file of keys, made if it is not there",
    reader: text,
    programs: { keys: { isRequired: true } },
  },
  admin: {
    flags: "--admin",
    help: "may also read metrics and slots and refresh the workers",
    programs: { keys: { default: false } },
  },
  unlimited: {
    flags: "--unlimited",
    help: "is not counted: for a web server, which counts its own clients",
    programs: { keys: { default: false } },
  },
} as const satisfies OptionRows;
