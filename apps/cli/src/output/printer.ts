/** Prints an answer on stdout: as text for people, as JSON lines for programs. */
import type { EngineEvent } from "@llava/engine";

export type PrintEvent = (event: EngineEvent) => void;

/** Prints text as it comes, without the leading white space of an answer, which comes from the template. */
export function printText(write: (text: string) => void): PrintEvent {
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

/** Prints one JSON object per line; an error as its code and message. */
export function printJson(write: (text: string) => void): PrintEvent {
  return (event) => {
    const error = event.type === "error" ? { code: event.error.code, message: event.error.message } : null;
    write(`${JSON.stringify(error ? { type: "error", error } : event)}\n`);
  };
}
