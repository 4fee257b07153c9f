/** Renders a conversation as the prompt that the model continues, in the five styles of conversation.ts, to the byte. */
import { LlavaError } from "@llava/protocol";
import type { ConversationTemplate } from "./conversation.ts";

export interface ConversationMessage {
  readonly role: "system" | "user" | "assistant";
  /** The message: in a string `<image>` marks the place of an image; in parts it is text like any other. */
  readonly text: string | readonly MessagePart[];
}

/** Text or an image of a message. No text of it is ever a special token. */
export type MessagePart = { readonly type: "text"; readonly text: string } | { readonly type: "image" };

/** A stretch of a prompt. In the text of a template `</s>` and the like are special tokens, nowhere else. */
export type PromptPiece = MessagePart | { readonly type: "template"; readonly text: string };

/** Marks the place of one image in a prompt. */
export const IMAGE_MARK = "<image>";
const IMAGE: MessagePart = { type: "image" };

/** The pieces of a ready prompt: a template's text, with an image for each `<image>`. */
export function markedPieces(prompt: string): readonly PromptPiece[] {
  return splitMarks(prompt, templateText);
}

/** The prompt as one string, with `<image>` for each image. */
export function promptText(pieces: readonly PromptPiece[]): string {
  return pieces.map((piece) => (piece.type === "image" ? IMAGE_MARK : piece.text)).join("");
}

/**
 * An optional system message, then user and assistant in turn. After a last message of the user an assistant's turn
 * is left open for the model to write; after a last message of the assistant nothing is open (a training sample).
 * Throws `invalid_request` when the messages are not in that order.
 */
export function renderPrompt(
  template: ConversationTemplate,
  messages: readonly ConversationMessage[],
): readonly PromptPiece[] {
  const first = messages[0];
  const hasSystem = first?.role === "system";
  const system = hasSystem ? systemPieces(template, first) : templateText(template.system);
  const turns = hasSystem ? messages.slice(1) : messages;
  requireTurns(turns);
  const contents = template.tagsImages ? tagImages(turns) : turns.map(partsOf);
  if (template.style === "llama_2") return renderLlama2(template, system, contents);
  const isOpen = contents.length % 2 === 1;
  const opening = isOpen && template.style !== "plain" ? openTurn(template, template.assistant) : "";
  const start = system.length === 0 ? [] : [...system, ...templateText(template.separator)];
  const closed = contents.flatMap((parts, index) => closedTurn(template, parts, index));
  return [...start, ...closed, ...templateText(opening)];
}

/**
 * The same up to the end of the last message, the assistant's, which the model continues.
 * Throws `invalid_request` when that message is not the assistant's or has no text.
 */
export function renderUnfinished(
  template: ConversationTemplate,
  messages: readonly ConversationMessage[],
): readonly PromptPiece[] {
  const last = messages.at(-1);
  const hasText = last?.role === "assistant" && partsOf(last).some(({ type }) => type === "text");
  if (!hasText) {
    throw new LlavaError(
      "invalid_request",
      "There is no answer to go on with: the last message must be the assistant's and hold its words so far.",
      { param: "messages" },
    );
  }
  const pieces = renderPrompt(template, messages);
  return pieces.slice(0, pieces.findLastIndex(({ type }) => type === "text") + 1);
}

/** LLaVA treats an empty text like none: the turn stays open. */
function closedTurn(
  template: ConversationTemplate,
  parts: readonly PromptPiece[],
  index: number,
): readonly PromptPiece[] {
  const isUser = index % 2 === 0;
  const role = isUser ? template.user : template.assistant;
  const separator = isUser ? template.separator : (template.secondSeparator ?? template.separator);
  if (parts.length === 0) return template.style === "plain" ? [] : templateText(openTurn(template, role));
  const hasRole = template.style !== "plain";
  const opening = hasRole ? openTurn(template, role) : "";
  return enclosed(hasRole && template.style !== "mpt" ? `${opening} ` : opening, parts, separator);
}

function openTurn(template: ConversationTemplate, role: string): string {
  return template.style === "mpt" ? role : `${role}:`;
}

/** The tokenizer writes the first `<s>`, so that the one at the very start is left out here. */
function renderLlama2(
  template: ConversationTemplate,
  system: readonly PromptPiece[],
  contents: readonly (readonly PromptPiece[])[],
): readonly PromptPiece[] {
  const start = system.length === 0 ? [] : enclosed("<<SYS>>\n", system, "\n<</SYS>>\n\n");
  return contents.flatMap((parts, index) => {
    if (parts.length === 0) return [];
    if (index % 2 === 1) return enclosed(" ", parts, ` ${template.secondSeparator ?? ""}`);
    if (index === 0) return enclosed("[INST] ", [...start, ...parts], " [/INST]");
    return enclosed(`${template.separator}[INST] `, parts, " [/INST]");
  });
}

function enclosed(before: string, pieces: readonly PromptPiece[], after: string): readonly PromptPiece[] {
  return [...templateText(before), ...pieces, ...templateText(after)];
}

/** Puts the images of a message into a turn of their own in front of it, as the mmtag models were trained. */
function tagImages(turns: readonly ConversationMessage[]): readonly (readonly PromptPiece[])[] {
  return turns.flatMap((turn) => {
    const parts = partsOf(turn);
    const images = parts.filter(({ type }) => type === "image");
    if (images.length === 0 || turn.role !== "user") return [parts];
    const shown = images.flatMap(() => enclosed("<Image>", [IMAGE], "</Image>"));
    const rest = parts.map((part) => (part.type === "text" ? part.text : "")).join("");
    return [shown, templateText("Received."), plainText(rest.trim())];
  });
}

function systemPieces(template: ConversationTemplate, message: ConversationMessage): readonly PromptPiece[] {
  if (template.takesSystem) return [...templateText(template.systemPrefix), ...partsOf(message)];
  throw new LlavaError(
    "invalid_request",
    "This model was trained without a system message and has no place for one. Leave it out and put what matters into the question.",
  );
}

/** The parts of a message without empty texts: a message of nothing else has no parts. */
function partsOf({ text }: ConversationMessage): readonly PromptPiece[] {
  if (typeof text === "string") return splitMarks(text, plainText);
  return text.filter((part) => part.type === "image" || part.text !== "");
}

function splitMarks(text: string, piecesOf: (run: string) => readonly PromptPiece[]): readonly PromptPiece[] {
  return text
    .split(IMAGE_MARK)
    .flatMap((run, index) => (index === 0 ? piecesOf(run) : [IMAGE, ...piecesOf(run)]));
}

function plainText(text: string): readonly PromptPiece[] {
  return text === "" ? [] : [{ type: "text", text }];
}

function templateText(text: string): readonly PromptPiece[] {
  return text === "" ? [] : [{ type: "template", text }];
}

function requireTurns(turns: readonly ConversationMessage[]): void {
  if (turns.length === 0) {
    throw new LlavaError("invalid_request", "The conversation has no message from the user. Add one.");
  }
  for (const [index, turn] of turns.entries()) {
    const expected = index % 2 === 0 ? "user" : "assistant";
    if (turn.role === expected) continue;
    throw new LlavaError(
      "invalid_request",
      `Message ${index + 1} of the conversation is from "${turn.role}" where "${expected}" is due. Send an optional system message, then user and assistant in turn.`,
    );
  }
}
