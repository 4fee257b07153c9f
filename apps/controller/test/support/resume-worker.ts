/**
 * Answers as a worker that can resume answers, without a model: its tokens depend on the seed only, so that a test knows
 * every token that may come. It refuses to go on from tokens that it would not have written.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { json } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import {
  encodeResumeHead,
  encodeResumeTokens,
  encodeSse,
  encodeSseJson,
  encodeWireChunk,
  finishChunk,
  RESUME_HEADER,
  resumeSchema,
  roleChunk,
  SSE_DONE,
  textChunk,
} from "@llava/protocol";
import { z } from "zod";
import { respondJson, type Handler } from "./http-server.ts";

const bodySchema = z.looseObject({
  model: z.string(),
  /** The prompt of LLaVA's wire, which has neither `seed` nor `max_tokens`. */
  prompt: z.string().default(""),
  max_new_tokens: z.number().optional(),
  seed: z.number().default(1),
  max_tokens: z.number().default(12),
  llava_resume: z
    .strictObject({ ...resumeSchema.shape, sent_frame: z.object({ text: z.string() }).optional() })
    .optional(),
});
type Body = z.infer<typeof bodySchema>;

export interface ResumeWorkerOptions {
  /** The pause before each token in milliseconds. */
  readonly stepMs?: number;
  /**
   * Called before the token at this position, the end being behind the last one, when the answer so far is written. It
   * returns whether the stand-in goes on; otherwise the test ends the answer.
   */
  readonly step?: (position: number, response: ServerResponse) => boolean | Promise<boolean>;
}

/** The id of the token at a position. */
function tokenAt(seed: number, position: number): number {
  return (seed * 7919 + position * 104_729) % 32_000;
}

/** The whole text of an answer. */
export function textOf(seed: number, numTokens: number): string {
  return Array.from({ length: numTokens }, (_, position) => wordOf(tokenAt(seed, position))).join("");
}

export function resumeWorker(options: ResumeWorkerOptions = {}): Handler {
  return (request, response) => {
    answer(request, response, options).catch(() => response.destroy());
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { stepMs = 0, step = () => true }: ResumeWorkerOptions,
): Promise<void> {
  const body = bodySchema.parse(await json(request));
  const { model, seed, llava_resume: resume } = body;
  const max_tokens = body.max_new_tokens ?? body.max_tokens;
  const isResumable = request.headers[RESUME_HEADER] === "1";
  const sentTokens = resume?.tokens ?? [];
  if (sentTokens.some((id, position) => id !== tokenAt(resume?.seed ?? seed, position)))
    return respondJson(response, 400, {
      error: { message: "These are no tokens of mine.", code: "invalid_request" },
    });
  const isWire = request.url === "/worker_generate_stream";
  const head = { id: resume?.id ?? "chatcmpl-1", created: resume?.created ?? 17, model };
  let opening = isResumable ? encodeResumeHead({ ...head, seed }) : "";
  const write = (block: string): void => {
    response.write(opening + block);
    opening = "";
  };
  response.writeHead(200, { "content-type": isWire ? "application/octet-stream" : "text/event-stream" });
  response.flushHeaders();
  const words = isWire ? wireWords(body) : (word: string) => encodeSseJson(textChunk(head, word));
  if (isWire) write(resume === undefined ? words("") : "\0");
  else if (resume === undefined) write(encodeSseJson(roleChunk(head)));
  for (let position = sentTokens.length; position < max_tokens; position += 1) {
    if (stepMs > 0) await sleep(stepMs);
    if (response.destroyed || !(await step(position, response))) return;
    const id = tokenAt(seed, position);
    write((isResumable ? encodeResumeTokens([id]) : "") + words(wordOf(id)));
  }
  if (stepMs > 0) await sleep(stepMs);
  if (!(await step(max_tokens, response))) return;
  if (!isWire) write(encodeSseJson(finishChunk(head, "length")) + encodeSse(SSE_DONE));
  response.end();
}

/** Encodes words as frames of LLaVA's wire, each with all of the text so far. */
function wireWords({ prompt, llava_resume }: Body): (word: string) => string {
  let text = llava_resume?.sent_frame?.text ?? prompt;
  return (word) => encodeWireChunk((text += word), 0);
}

function wordOf(id: number): string {
  return `w${id} `;
}
