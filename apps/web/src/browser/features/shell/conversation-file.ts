/**
 * Conversations as a file, to be kept or carried to another browser: what is exported, wiped and imported is the same again.
 * A file may come from anywhere, so only what has the right shape is taken out of it.
 */
import { isErrorCode } from "@llava/protocol/browser";
import type { ChatTimings, ChatUsage } from "@llava/protocol/browser";

import type {
  AnswerState,
  Conversation,
  Failure,
  Message,
  ImageMode,
  PictureRef,
  Settings,
} from "../../services/store/records.ts";
import { DEFAULT_SETTINGS } from "../../services/store/answer-settings.ts";

export interface Transfer {
  readonly conversations: readonly Conversation[];
  readonly messages: readonly Message[];
  /** Files of pictures as `data:` URLs, by key. */
  readonly pictures: Readonly<Record<string, string>>;
}

/** A sentence about a file that holds no conversations. */
export class TransferError extends Error {
  override readonly name = "TransferError";
}

const FORMAT = "llava-conversations";
const VERSION = 1;
const MAX_CONVERSATIONS = 10_000;
const MAX_MESSAGES = 200_000;
const MAX_TEXT = 1 << 21;
const MAX_QUESTIONS = 64;
const MODES: readonly ImageMode[] = ["default", "pad", "crop", "resize"];
const ID = /^[0-9a-z]{1,64}$/;
const KEY = /^sha256:[0-9a-f]{64}$/;
const DATA_URL = /^data:image\/(png|jpeg|webp);base64,[A-Za-z0-9+/]*={0,2}$/;

export function writeTransfer(transfer: Transfer): string {
  return JSON.stringify({ format: FORMAT, version: VERSION, ...transfer });
}

/** Throws `TransferError`. */
export function readTransfer(text: string, fileName: string): Transfer {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (cause) {
    throw new TransferError(`"${fileName}" is no file of conversations: it is not JSON.`, { cause });
  }
  if (!isRecord(file) || file["format"] !== FORMAT)
    throw new TransferError(`"${fileName}" is no file of conversations of this page.`);
  if (file["version"] !== VERSION)
    throw new TransferError(
      `"${fileName}" was written by another version of this page, which this one cannot read.`,
    );
  const conversations = list(file["conversations"], MAX_CONVERSATIONS).flatMap(conversationOf);
  const ids = new Set(conversations.map(({ id }) => id));
  const messages = list(file["messages"], MAX_MESSAGES)
    .flatMap(messageOf)
    .filter(({ conversationId }) => ids.has(conversationId));
  if (conversations.length === 0) throw new TransferError(`"${fileName}" holds no conversations.`);
  return { conversations, messages, pictures: picturesOf(file["pictures"]) };
}

function conversationOf(value: unknown): readonly Conversation[] {
  if (!isRecord(value) || !isId(value["id"]) || !isText(value["title"])) return [];
  const { id, title, hasOwnTitle, createdMs, updatedMs, leafId, model } = value;
  return [
    {
      id,
      title,
      hasOwnTitle: hasOwnTitle === true,
      createdMs: timeOf(createdMs),
      updatedMs: timeOf(updatedMs),
      leafId: isId(leafId) ? leafId : null,
      model: isText(model) ? model : null,
      settings: settingsOf(value["settings"]),
    },
  ];
}

function messageOf(value: unknown): readonly Message[] {
  if (!isRecord(value) || !isId(value["id"]) || !isId(value["conversationId"]) || !isText(value["text"]))
    return [];
  const { id, conversationId, parentId, createdMs, text } = value;
  const base = {
    id,
    conversationId,
    parentId: isId(parentId) ? parentId : null,
    createdMs: timeOf(createdMs),
    text,
  };
  if (value["role"] === "user")
    return [{ ...base, role: "user", pictures: list(value["pictures"], 64).flatMap(pictureOf) }];
  if (value["role"] !== "assistant") return [];
  const { model, migrations, vote, isFlagged } = value;
  return [
    {
      ...base,
      role: "assistant",
      model: isText(model) ? model : "",
      settings: settingsOf(value["settings"]),
      state: stateOf(value["state"]),
      // Whatever was under way is under way no more.
      stream: null,
      migrations: isCount(migrations) ? migrations : 0,
      vote: vote === "up" || vote === "down" ? vote : null,
      isFlagged: isFlagged === true,
    },
  ];
}

function pictureOf(value: unknown): readonly PictureRef[] {
  if (!isRecord(value)) return [];
  const { key, name, mode, alt, isDrawing } = value;
  const size = sizeOf(value);
  if (typeof key !== "string" || !KEY.test(key) || !isText(name) || size === null) return [];
  const original = sizeOf(value["original"]);
  const questions = list(value["questions"], MAX_QUESTIONS).filter(isText);
  const answers = list(value["answers"], MAX_QUESTIONS).filter(isText);
  return [
    {
      key,
      name,
      ...size,
      ...(original === null ? {} : { original }),
      mode: MODES.find((known) => known === mode) ?? "default",
      ...(isText(alt) ? { alt } : {}),
      ...(questions.length > 0 ? { questions } : {}),
      // Each belongs to the question in its place.
      ...(answers.length > 0 && answers.length === questions.length ? { answers } : {}),
      ...(isDrawing === true ? { isDrawing } : {}),
    },
  ];
}

function sizeOf(value: unknown): { readonly width: number; readonly height: number } | null {
  if (!isRecord(value)) return null;
  const { width, height } = value;
  return isSize(width) && isSize(height) ? { width, height } : null;
}

function stateOf(value: unknown): AnswerState {
  if (!isRecord(value)) return { kind: "stopped" };
  if (value["kind"] === "finished")
    return {
      kind: "finished",
      reason: value["reason"] === "length" ? "length" : "stop",
      usage: usageOf(value["usage"]),
      timings: timingsOf(value["timings"]),
    };
  const failure = value["failure"];
  if (value["kind"] === "failed" && isRecord(failure) && isText(failure["message"]))
    return { kind: "failed", failure: failureOf(failure, failure["message"]) };
  return { kind: "stopped" };
}

function failureOf(
  { code, isRetryable, retryAfterMs }: Readonly<Record<string, unknown>>,
  message: string,
): Failure {
  const isKnown = isErrorCode(code) || code === "offline" || code === "storage_full";
  return {
    code: isKnown ? code : "internal",
    message,
    isRetryable: isRetryable !== false,
    retryAfterMs: isCount(retryAfterMs) ? retryAfterMs : null,
  };
}

function usageOf(value: unknown): ChatUsage | null {
  if (!isRecord(value) || !isRecord(value["prompt_tokens_details"])) return null;
  const { prompt_tokens, completion_tokens, total_tokens } = value;
  const { cached_tokens, image_tokens } = value["prompt_tokens_details"];
  if (!isCount(prompt_tokens) || !isCount(completion_tokens) || !isCount(total_tokens)) return null;
  if (!isCount(cached_tokens) || !isCount(image_tokens)) return null;
  const prompt_tokens_details = { cached_tokens, image_tokens };
  return { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details };
}

function timingsOf(value: unknown): ChatTimings | null {
  if (!isRecord(value)) return null;
  const { queue_ms, encode_ms, prefill_ms, decode_ms, first_token_ms } = value;
  if (!isCount(queue_ms) || !isCount(encode_ms) || !isCount(prefill_ms)) return null;
  if (!isCount(decode_ms) || !isCount(first_token_ms)) return null;
  return { queue_ms, encode_ms, prefill_ms, decode_ms, first_token_ms };
}

function settingsOf(value: unknown): Settings {
  if (!isRecord(value)) return DEFAULT_SETTINGS;
  const number = (name: "temperature" | "top_p" | "max_tokens", most: number): number => {
    const found = value[name];
    return typeof found === "number" && found >= 0 && found <= most ? found : DEFAULT_SETTINGS[name];
  };
  const { seed, stop, system, template } = value;
  return {
    temperature: number("temperature", 2),
    top_p: number("top_p", 1),
    max_tokens: number("max_tokens", 1_000_000),
    seed: typeof seed === "number" && Number.isInteger(seed) && seed >= 0 ? seed : null,
    stop: list(stop, 4).filter(isText),
    system: isText(system) ? system : null,
    template: isText(template) ? template : null,
  };
}

function picturesOf(value: unknown): Readonly<Record<string, string>> {
  if (!isRecord(value)) return {};
  const good = Object.entries(value).filter(
    (entry): entry is [string, string] =>
      KEY.test(entry[0]) && typeof entry[1] === "string" && DATA_URL.test(entry[1]),
  );
  return Object.fromEntries(good);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_TEXT;
}

function isId(value: unknown): value is string {
  return typeof value === "string" && ID.test(value);
}

function isSize(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value <= 65_536;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function timeOf(value: unknown): number {
  return isCount(value) ? value : 0;
}

function list(value: unknown, most: number): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, most) : [];
}
