/** A conversation becomes the one string that the model reads on: the five styles of conversation.ts, to the byte. */
import { LlavaError } from "@llava/protocol";
import type { ConversationTemplate } from "./conversation.ts";

export interface ConversationMessage {
  readonly role: "system" | "user" | "assistant";
  /** May hold `<image>` marks. */
  readonly text: string;
}

/** Marks the place of one picture in a prompt. */
export const IMAGE_MARK = "<image>";

/**
 * An optional system message, then user and assistant in turn. After a last message of the user an assistant's turn
 * is left open for the model to write; after a last message of the assistant nothing is open (a training sample).
 * Throws `invalid_request` when the messages are not in that order.
 */
export function renderPrompt(
  template: ConversationTemplate,
  messages: readonly ConversationMessage[],
): string {
  const first = messages[0];
  const hasSystem = first?.role === "system";
  const system = hasSystem ? systemText(template, first.text) : template.system;
  const turns = hasSystem ? messages.slice(1) : messages;
  requireTurns(turns);
  const texts = template.tagsImages ? tagImages(turns) : turns.map((turn) => turn.text);
  if (template.style === "llama_2") return renderLlama2(template, system, texts);
  const isOpen = texts.length % 2 === 1;
  const opening = isOpen && template.style !== "plain" ? openTurn(template, template.assistant) : "";
  const start = system === "" ? "" : system + template.separator;
  return start + texts.map((text, index) => closedTurn(template, text, index)).join("") + opening;
}

/** LLaVA treats an empty text like none: the turn stays open. */
function closedTurn(template: ConversationTemplate, text: string, index: number): string {
  const isUser = index % 2 === 0;
  const role = isUser ? template.user : template.assistant;
  const separator = isUser ? template.separator : (template.secondSeparator ?? template.separator);
  if (template.style === "plain") return text === "" ? "" : text + separator;
  if (text === "") return openTurn(template, role);
  return template.style === "mpt" ? role + text + separator : `${role}: ${text}${separator}`;
}

function openTurn(template: ConversationTemplate, role: string): string {
  return template.style === "mpt" ? role : `${role}:`;
}

/** The tokenizer writes the first `<s>`, so the one at the very start is left out. */
function renderLlama2(template: ConversationTemplate, system: string, texts: readonly string[]): string {
  const start = system === "" ? "" : `<<SYS>>\n${system}\n<</SYS>>\n\n`;
  const turns = texts.map((text, index) => {
    if (text === "") return "";
    if (index % 2 === 1) return ` ${text} ${template.secondSeparator ?? ""}`;
    return `${index === 0 ? "" : template.separator}[INST] ${index === 0 ? start : ""}${text} [/INST]`;
  });
  return turns.join("");
}

/** A message with pictures gives them to a turn of their own in front of it, as the mmtag models were shown. */
function tagImages(turns: readonly ConversationMessage[]): string[] {
  return turns.flatMap((turn) => {
    const pictures = turn.text.split(IMAGE_MARK).length - 1;
    if (pictures === 0 || turn.role !== "user") return [turn.text];
    const rest = turn.text.replaceAll(IMAGE_MARK, "").trim();
    return [`<Image>${IMAGE_MARK}</Image>`.repeat(pictures), "Received.", rest];
  });
}

function systemText(template: ConversationTemplate, text: string): string {
  if (template.takesSystem) return template.systemPrefix + text;
  throw new LlavaError(
    "invalid_request",
    "This model was trained without a system message and has no place for one. Leave it out and put what matters into the question.",
  );
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
