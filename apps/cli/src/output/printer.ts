/** How an answer appears on stdout: words for people, JSON lines for programs. */
import type { EngineEvent } from "@llava/engine";

export type PrintEvent = (event: EngineEvent) => void;

/** Words as they come; an answer's leading white space is the template's, not the model's, and is left out. */
export function printWords(write: (text: string) => void): PrintEvent {
  let isBegun = false;
  return (event) => {
    if (event.type === "text-delta") {
      const text = isBegun ? event.text : event.text.trimStart();
      isBegun ||= text !== "";
      if (text !== "") write(text);
    } else {
      if (isBegun || event.type === "finished") write("\n");
      isBegun = false;
    }
  };
}

/** One JSON object a line; an error as its code and sentence. */
export function printJson(write: (text: string) => void): PrintEvent {
  return (event) => {
    const error = event.type === "error" ? { code: event.error.code, message: event.error.message } : null;
    write(`${JSON.stringify(error ? { type: "error", error } : event)}\n`);
  };
}
