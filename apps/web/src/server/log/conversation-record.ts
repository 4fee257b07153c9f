/**
 * Makes the log record of a finished chat from the bytes of its request and answer, in the form of LLaVA's
 * llava/serve/gradio_web_server.py. An incomplete conversation gives no record.
 */
import { createHash } from "node:crypto";

import { SSE_DONE, SseParser } from "@llava/protocol";
import { z } from "zod";

/** An image of a request, in the file format in which it came. */
export interface LoggedImage {
  /** MD5 of the file's bytes, hexadecimal; it serves as a name, not as a proof. */
  readonly md5: string;
  readonly extension: "jpg" | "png" | "webp";
  /** The file; null when only its name is still known. */
  readonly bytes: Buffer | null;
}

/** A line of LLaVA's log; times are Unix seconds with four decimals. */
export interface ChatRecord {
  readonly tstamp: number;
  readonly type: "chat";
  readonly model: string;
  readonly start: number;
  readonly finish: number;
  readonly state: ConversationState;
  readonly images: readonly string[];
  readonly ip: string;
}

/** The output of `Conversation.dict()` in LLaVA's llava/conversation.py. */
interface ConversationState {
  readonly system: string;
  readonly roles: readonly [string, string];
  readonly messages: readonly (readonly [string, string])[];
  readonly offset: number;
  readonly sep: string;
  readonly sep2: string;
}

export interface Turn {
  readonly request: Buffer;
  readonly answer: AnswerText;
  /** Unix milliseconds. */
  readonly startedMs: number;
  readonly finishedMs: number;
  readonly ip: string;
}

/** Roles and separators of LLaVA's template `llava_v1`; the page does not know which template a worker uses. */
const ROLES = ["USER", "ASSISTANT"] as const;
const SEPARATORS = { sep: " ", sep2: "</s>" } as const;
const EXTENSIONS: Readonly<Record<string, LoggedImage["extension"]>> = {
  "image/jpeg": "jpg",
  "image/png": "png",
  "image/webp": "webp",
};
const MAX_ANSWER_LENGTH = 1 << 20;

const partSchema = z.union([
  z.object({ type: z.literal("text"), text: z.string() }),
  z.object({ type: z.literal("image_url"), image_url: z.object({ url: z.string() }) }),
]);
const requestSchema = z.object({
  model: z.string(),
  messages: z.array(
    z.object({
      role: z.enum(["system", "developer", "user", "assistant"]),
      content: z.union([z.string(), z.array(partSchema)]),
    }),
  ),
});
type Message = z.infer<typeof requestSchema>["messages"][number];
const chunkSchema = z.object({
  choices: z.array(
    z.object({
      index: z.number().default(0),
      delta: z.object({ content: z.string().nullish() }).nullish(),
      message: z.object({ content: z.string() }).optional(),
    }),
  ),
});

/** Collects the text of an answer from its bytes. */
export class AnswerText {
  readonly #parser = new SseParser();
  readonly #isStream: boolean;
  #text = "";
  #body: Buffer[] = [];
  #numBytes = 0;
  #isWhole = false;
  #hasFailed = false;

  constructor(isStream: boolean) {
    this.#isStream = isStream;
  }

  /** Never throws, because an answer that cannot be parsed is still relayed. */
  push(bytes: Uint8Array): void {
    this.#numBytes += bytes.length;
    if (this.#hasFailed) return;
    try {
      if (this.#isStream) for (const { data } of this.#parser.push(bytes)) this.#take(data);
      else if (this.#numBytes > MAX_ANSWER_LENGTH) this.#hasFailed = true;
      else this.#body.push(Buffer.from(bytes));
    } catch {
      this.#hasFailed = true;
    }
  }

  /** The text; null when the answer failed, broke off, is too long or cannot be parsed. */
  get text(): string | null {
    if (this.#hasFailed) return null;
    if (this.#isStream) return this.#isWhole ? this.#text : null;
    try {
      const body = chunkSchema.parse(JSON.parse(Buffer.concat(this.#body).toString("utf8")));
      return body.choices[0]?.message?.content ?? null;
    } catch {
      return null;
    }
  }

  #take(data: string): void {
    if (data === SSE_DONE) {
      this.#isWhole = true;
      return;
    }
    const { choices } = chunkSchema.parse(JSON.parse(data));
    // With several choices the first is taken, as from a body in one piece.
    this.#text += choices.find(({ index }) => index === 0)?.delta?.content ?? "";
    if (this.#text.length > MAX_ANSWER_LENGTH) this.#hasFailed = true;
  }
}

/**
 * Returns null for an incomplete conversation: LLaVA's log has no failures either. @param uploaded finds an image by
 * its key
 */
export function chatRecord(
  turn: Turn,
  uploaded: (key: string) => LoggedImage | null = () => null,
): { readonly record: ChatRecord; readonly images: readonly LoggedImage[] } | null {
  const { text } = turn.answer;
  const request = requestSchema.safeParse(jsonOf(turn.request));
  if (text === null || !request.success) return null;
  const { model, messages } = request.data;
  const images = messages.flatMap((message) => imagesOf(message, uploaded));
  const turns = messages
    .filter(isFromTurn)
    .map(({ role, content }): readonly [string, string] => [
      role === "assistant" ? ROLES[1] : ROLES[0],
      textOf(content),
    ]);
  const record: ChatRecord = {
    tstamp: seconds(turn.finishedMs),
    type: "chat",
    model,
    start: seconds(turn.startedMs),
    finish: seconds(turn.finishedMs),
    state: {
      system: messages
        .filter((message) => !isFromTurn(message))
        .map(({ content }) => textOf(content))
        .join("\n"),
      roles: ROLES,
      messages: [...turns, [ROLES[1], text.trim()]],
      offset: 0,
      ...SEPARATORS,
    },
    images: images.map(({ md5 }) => md5),
    ip: turn.ip,
  };
  return { record, images };
}

function isFromTurn({ role }: Message): boolean {
  return role === "user" || role === "assistant";
}

/** The text of a message as LLaVA writes it, with `<image>` in place of each image. */
function textOf(content: Message["content"]): string {
  if (typeof content === "string") return content;
  return content.map((part) => (part.type === "text" ? part.text : "<image>")).join("\n");
}

/** Images that came as files, in the request or before it; addresses on other servers are left out. */
function imagesOf(
  { content }: Message,
  uploaded: (key: string) => LoggedImage | null,
): readonly LoggedImage[] {
  if (typeof content === "string") return [];
  return content.flatMap((part) => {
    if (part.type !== "image_url") return [];
    const image = imageInside(part.image_url.url) ?? uploaded(part.image_url.url);
    return image === null ? [] : [image];
  });
}

function imageInside(url: string): LoggedImage | null {
  const [, type = "", data = ""] = /^data:(image\/[a-z]+);base64,(.*)$/s.exec(url) ?? [];
  const extension = EXTENSIONS[type];
  if (extension === undefined) return null;
  const bytes = Buffer.from(data, "base64");
  return { md5: createHash("md5").update(bytes).digest("hex"), extension, bytes };
}

function seconds(ms: number): number {
  return Math.round(ms * 10) / 10_000;
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return null;
  }
}
