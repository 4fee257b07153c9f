/** Turns the prompt of a request into pieces of text and images: a ready prompt, a conversation, or plain text. */
import {
  type ConversationTemplate,
  findConversation,
  markedPieces,
  type PromptPiece,
  promptText,
  renderPrompt,
  renderUnfinished,
} from "@llava/processing";
import type { ModelFolder } from "@llava/models";
import { LlavaError } from "@llava/protocol";
import type { AnswerStart } from "../sampling/detokenizer.ts";
import type { GenerateRequest, Message } from "../api/request.ts";

/** @throws LlavaError `invalid_request` */
export function templateOf(
  { conversation }: ModelFolder["description"],
  asked: string | undefined,
): ConversationTemplate {
  return asked === undefined
    ? findConversation(conversation)
    : findConversation(asked, "conversation_template");
}

/** @throws LlavaError `invalid_request` for a prompt that is empty or whose messages are in the wrong order */
export function promptPieces(
  template: ConversationTemplate,
  { prompt, isUnfinished }: GenerateRequest,
): readonly PromptPiece[] {
  if (typeof prompt === "string") {
    requireText(prompt, "The prompt");
    return markedPieces(prompt);
  }
  if ("text" in prompt) {
    requireText(prompt.text, "The prompt");
    return [{ type: "text", text: prompt.text }];
  }
  if (isUnfinished === true) return renderUnfinished(template, prompt);
  const last = prompt.at(-1);
  if (last?.role === "user") requireText(shownText(last), "The last message");
  if (last && last.role !== "user") {
    throw new LlavaError(
      "invalid_request",
      `The last message of the conversation is from "${last.role}"; the model answers a user's. Add the question.`,
    );
  }
  return renderPrompt(template, prompt);
}

/** A message begins with its first word; a continuation with the very next character. */
export function answerStart({ prompt, isUnfinished }: GenerateRequest): AnswerStart {
  if (typeof prompt === "string") return "text";
  return "text" in prompt || isUnfinished === true ? "continuation" : "message";
}

export function emptyPrompt(what: string): LlavaError {
  return new LlavaError("invalid_request", `${what} is empty; write at least one word.`);
}

function shownText({ text }: Message): string {
  return typeof text === "string" ? text : promptText(text);
}

function requireText(text: string, what: string): void {
  if (text.trim() === "") throw emptyPrompt(what);
}
