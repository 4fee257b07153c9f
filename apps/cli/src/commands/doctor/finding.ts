/** Describes what one check of `llava doctor` found, and formats it as a line. */
import { toLlavaError } from "@llava/protocol";

export interface Finding {
  readonly subject: string;
  /** `note` stands for something that could be better and prevents nothing. */
  readonly state: "ok" | "note" | "wrong";
  /** What was found, or what is wrong and what to do. */
  readonly sentence: string;
}

export function ok(subject: string, sentence: string): Finding {
  return { subject, state: "ok", sentence };
}

export function note(subject: string, sentence: string): Finding {
  return { subject, state: "note", sentence };
}

export function wrong(subject: string, sentence: string): Finding {
  return { subject, state: "wrong", sentence };
}

/** The result of `look`, or the message of its error, which has what to do. */
export async function findingOf(
  subject: string,
  look: () => string | Promise<string>,
  otherwise: (subject: string, sentence: string) => Finding = wrong,
): Promise<Finding> {
  try {
    return ok(subject, await look());
  } catch (thrown) {
    return otherwise(subject, sentenceOf(thrown));
  }
}

/** The finding as one line. */
export function lineOf({ subject, state, sentence }: Finding): string {
  return `${state.padEnd(5)}  ${subject.padEnd(16)}  ${sentence.replaceAll(/\s+/g, " ").trim()}\n`;
}

function sentenceOf(thrown: unknown): string {
  const error = toLlavaError(thrown);
  if (error.code !== "internal" || !(thrown instanceof Error)) return error.message;
  return thrown.message;
}
