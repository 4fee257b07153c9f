/** Writes the prompt of a request for `--log-prompts`: its text, shortened, and never an image. */
import type { GenerateRequest } from "@llava/backend";

/** A line of the log stays below 16 KiB, also when every character is escaped. */
const MAX_LENGTH = 2_000;

export function promptForLog(prompt: GenerateRequest["prompt"]): string {
  const text = textOf(prompt);
  if (text.length <= MAX_LENGTH) return text;
  // The question stands at the end.
  return `… (${text.length} characters) ${text.slice(-MAX_LENGTH)}`;
}

function textOf(prompt: GenerateRequest["prompt"]): string {
  if (typeof prompt === "string") return prompt;
  if ("text" in prompt) return prompt.text;
  const turns = prompt.map(({ role, text }) => {
    const content =
      typeof text === "string"
        ? text
        : text.map((part) => (part.type === "text" ? part.text : "<image>")).join("");
    return `${role}: ${content}`;
  });
  return turns.join("\n");
}
