/** What `--log-prompts` writes of a request: its words, shortened, and never an image. */
import type { GenerateRequest } from "@llava/engine";

/** A line of the log stays below 16 KiB, also when every character is escaped. */
const MAX_LENGTH = 2_000;

export function promptForLog(prompt: GenerateRequest["prompt"]): string {
  const text = textOf(prompt);
  if (text.length <= MAX_LENGTH) return text;
  // The end has the question.
  return `… (${text.length} characters) ${text.slice(-MAX_LENGTH)}`;
}

function textOf(prompt: GenerateRequest["prompt"]): string {
  if (typeof prompt === "string") return prompt;
  if ("text" in prompt) return prompt.text;
  const turns = prompt.map(({ role, text }) => {
    const words =
      typeof text === "string"
        ? text
        : text.map((part) => (part.type === "text" ? part.text : "<image>")).join("");
    return `${role}: ${words}`;
  });
  return turns.join("\n");
}
