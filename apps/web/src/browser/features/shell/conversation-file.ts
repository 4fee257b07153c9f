/**
 * Writes conversations to the text of a file and reads them back: an exported file that is imported again gives the same
 * conversations. A file may come from anywhere, so a reader takes only the parts of it that have the right shape.
 */
import { isErrorCode } from "@llava/protocol/browser";
import type { ChatTimings, ChatUsage, ErrorCode } from "@llava/protocol/browser";
import * as z from "zod/mini";
import { catch as withDefault } from "zod/mini";

import { DEFAULT_SETTINGS } from "../../services/store/answer-settings.ts";
import { withImages } from "../../services/store/earlier-records.ts";
import type {
  AnswerState,
  AssistantMessage,
  Conversation,
  Failure,
  ImageRef,
  Message,
  Settings,
  UserMessage,
} from "../../services/store/records.ts";

export interface ConversationFile {
  readonly conversations: readonly Conversation[];
  readonly messages: readonly Message[];
  /** Image files as `data:` URLs, by key. */
  readonly images: Readonly<Record<string, string>>;
}

/** A sentence about a file that has no conversations which this page can read. */
export class ConversationFileError extends Error {
  override readonly name = "ConversationFileError";
}

const FORMAT = "llava-conversations";
/** Version 1 had the images of messages and the image files under the name `pictures`. */
const VERSION = 2;
const VERSIONS: readonly unknown[] = [1, VERSION];
const MAX_CONVERSATIONS = 10_000;
const MAX_MESSAGES = 200_000;
const MAX_TEXT_LENGTH = 1 << 21;
const MAX_IMAGES = 64;
const MAX_QUESTIONS = 64;
const MAX_STOPS = 4;
/** Pixels; far beyond what servers accept. */
const MAX_EDGE = 65_536;
const KEY = /^sha256:[0-9a-f]{64}$/;
const DATA_URL = /^data:image\/(png|jpeg|webp);base64,[A-Za-z0-9+/]*={0,2}$/;

// The content policy forbids the compiled parsers of zod, and their mere trial would be reported as a violation.
z.config({ jitless: true });

const text = z.string().check(z.maxLength(MAX_TEXT_LENGTH));
const id = z.string().check(z.regex(/^[0-9a-z]{1,64}$/));
const count = z.number().check(z.nonnegative());
const edge = z.int().check(z.positive(), z.maximum(MAX_EDGE));
const size = z.object({ width: edge, height: edge });

/** Null in place of a value of another shape. */
function orNull<Schema extends z.ZodMiniType>(schema: Schema) {
  return withDefault(z.nullable(schema), null);
}

/** The elements that have the right shape, out of the first `most`; none where the value is no array. */
function listOf<Schema extends z.ZodMiniType>(schema: Schema, most: number) {
  const items = withDefault(z.array(z.unknown()), []);
  return z.pipe(
    items,
    z.transform((values) =>
      values.slice(0, most).flatMap((value): z.output<Schema>[] => {
        const { success, data } = schema.safeParse(value);
        return success ? [data] : [];
      }),
    ),
  );
}

const number = (fallback: number, most: number) =>
  withDefault(z.number().check(z.nonnegative(), z.maximum(most)), fallback);

const settings = withDefault(
  z.object({
    temperature: number(DEFAULT_SETTINGS.temperature, 2),
    top_p: number(DEFAULT_SETTINGS.top_p, 1),
    max_tokens: number(DEFAULT_SETTINGS.max_tokens, 1_000_000),
    seed: orNull(z.int().check(z.nonnegative())),
    stop: listOf(text, MAX_STOPS),
    system: orNull(text),
    template: orNull(text),
  }) satisfies z.ZodMiniType<Settings>,
  { ...DEFAULT_SETTINGS, stop: [...DEFAULT_SETTINGS.stop] },
);

const conversation = z.object({
  id,
  title: text,
  hasOwnTitle: withDefault(z.boolean(), false),
  createdMs: withDefault(count, 0),
  updatedMs: withDefault(count, 0),
  leafId: orNull(id),
  model: orNull(text),
  settings,
}) satisfies z.ZodMiniType<Conversation>;

const image = z.pipe(
  z.object({
    ...size.shape,
    key: z.string().check(z.regex(KEY)),
    name: text,
    original: orNull(size),
    mode: withDefault(z.enum(["default", "pad", "crop", "resize"]), "default"),
    alt: orNull(text),
    questions: listOf(text, MAX_QUESTIONS),
    answers: listOf(text, MAX_QUESTIONS),
    isDrawing: withDefault(z.boolean(), false),
  }),
  z.transform(({ original, alt, questions, answers, isDrawing, ...required }): ImageRef => ({
    ...required,
    ...(original === null ? {} : { original }),
    ...(alt === null ? {} : { alt }),
    ...(questions.length > 0 ? { questions } : {}),
    // Answers belong to the questions by their places in the list.
    ...(answers.length > 0 && answers.length === questions.length ? { answers } : {}),
    ...(isDrawing ? { isDrawing } : {}),
  })),
);

const usage = z.object({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  prompt_tokens_details: z.object({ cached_tokens: count, image_tokens: count }),
}) satisfies z.ZodMiniType<ChatUsage>;

const timings = z.object({
  queue_ms: count,
  encode_ms: count,
  prefill_ms: count,
  decode_ms: count,
  first_token_ms: count,
}) satisfies z.ZodMiniType<ChatTimings>;

const isFailureCode = (value: unknown): value is Failure["code"] =>
  isErrorCode(value) || value === "offline" || value === "storage_full";

const failure = z.object({
  code: withDefault(z.custom<Failure["code"]>(isFailureCode), "internal" satisfies ErrorCode),
  message: text,
  isRetryable: withDefault(z.boolean(), true),
  retryAfterMs: orNull(count),
}) satisfies z.ZodMiniType<Failure>;

/** An answer that was being generated when it was exported is stopped in the file. */
const state = withDefault(
  z.discriminatedUnion("kind", [
    z.object({
      kind: z.literal("finished"),
      reason: withDefault(z.enum(["stop", "length"]), "stop"),
      usage: orNull(usage),
      timings: orNull(timings),
    }),
    z.object({ kind: z.literal("failed"), failure }),
    z.object({ kind: z.literal("stopped") }),
  ]) satisfies z.ZodMiniType<AnswerState>,
  { kind: "stopped" },
);

const messageBase = {
  id,
  conversationId: id,
  parentId: orNull(id),
  createdMs: withDefault(count, 0),
  text,
};

const message = z.discriminatedUnion("role", [
  z.object({
    ...messageBase,
    role: z.literal("user"),
    images: listOf(image, MAX_IMAGES),
  }) satisfies z.ZodMiniType<UserMessage>,
  z.object({
    ...messageBase,
    role: z.literal("assistant"),
    model: withDefault(text, ""),
    settings,
    state,
    stream: withDefault(z.null(), null),
    migrations: withDefault(count, 0),
    vote: orNull(z.enum(["up", "down"])),
    isFlagged: withDefault(z.boolean(), false),
  }) satisfies z.ZodMiniType<AssistantMessage>,
]);

const fileSchema = z.object({
  conversations: listOf(conversation, MAX_CONVERSATIONS),
  messages: listOf(
    z.pipe(z.pipe(z.record(z.string(), z.unknown()), z.transform(withImages)), message),
    MAX_MESSAGES,
  ),
  images: z.pipe(
    withDefault(z.record(z.string(), z.unknown()), {}),
    z.transform((images) => Object.fromEntries(Object.entries(images).filter(isImageFile))),
  ),
}) satisfies z.ZodMiniType<ConversationFile>;

export function writeConversationFile(content: ConversationFile): string {
  return JSON.stringify({ format: FORMAT, version: VERSION, ...content });
}

/** Throws `ConversationFileError`. */
export function readConversationFile(json: string, fileName: string): ConversationFile {
  const { conversations, messages, images } = fileSchema.parse(withImages(parseHead(json, fileName)));
  if (conversations.length === 0) throw new ConversationFileError(`"${fileName}" holds no conversations.`);
  const ids = new Set(conversations.map((each) => each.id));
  return {
    conversations,
    messages: messages.filter(({ conversationId }) => ids.has(conversationId)),
    images,
  };
}

function parseHead(json: string, fileName: string): Readonly<Record<string, unknown>> {
  let file: unknown;
  try {
    file = JSON.parse(json);
  } catch (cause) {
    throw new ConversationFileError(`"${fileName}" is no file of conversations: it is not JSON.`, { cause });
  }
  const head = z.looseObject({ format: z.literal(FORMAT), version: z.unknown() }).safeParse(file);
  if (!head.success)
    throw new ConversationFileError(`"${fileName}" is no file of conversations of this page.`);
  if (!VERSIONS.includes(head.data.version))
    throw new ConversationFileError(
      `"${fileName}" was written by another version of this page, which this one cannot read.`,
    );
  return head.data;
}

function isImageFile(entry: [string, unknown]): entry is [string, string] {
  return KEY.test(entry[0]) && typeof entry[1] === "string" && DATA_URL.test(entry[1]);
}
