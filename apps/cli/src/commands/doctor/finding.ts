/** What one check of `llava doctor` found, and how it is told. */
import { toLlavaError } from "@llava/protocol";

export interface Finding {
  readonly subject: string;
  /** `note`: not as it could be, and not in the way. */
  readonly state: "ok" | "note" | "wrong";
  /** What there is, or what is wrong and what to do. */
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

/** What `look` says, or its error's sentence: the errors of this project say what to do. */
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

/** One line. */
export function lineOf({ subject, state, sentence }: Finding): string {
  return `${state.padEnd(5)}  ${subject.padEnd(16)}  ${sentence.replaceAll(/\s+/g, " ").trim()}\n`;
}

function sentenceOf(thrown: unknown): string {
  const error = toLlavaError(thrown);
  if (error.code !== "internal" || !(thrown instanceof Error)) return error.message;
  return thrown.message;
}
