/** Loads the sample images, each with suggested questions; scripts/demo/page-samples.ts makes them. */
import { readImage } from "../images/read-image.ts";
import type { ReadImage } from "../images/read-image.ts";

export interface Sample {
  /** File name below /samples/. */
  readonly file: string;
  /** Two or three words that are shown under the thumbnail. */
  readonly title: string;
  /** Description of the image for screen readers. */
  readonly alt: string;
  /** Remark about the image, such as "never seen in training". */
  readonly badge?: string;
  readonly questions: readonly string[];
  /** True answers to `questions`, in the same order. */
  readonly answers?: readonly string[];
}

/** An empty list when the server has no samples: the page works without them. */
export async function loadSamples(): Promise<readonly Sample[]> {
  try {
    const response = await fetch("/samples/samples.json");
    return response.ok ? parseSamples(await response.json()) : [];
  } catch {
    return [];
  }
}

/** Throws `ImageError` when the file cannot be loaded. */
export async function loadSampleImage(sample: Sample): Promise<ReadImage> {
  const response = await fetch(sampleUrl(sample));
  const file = new File([await response.blob()], sample.file, { type: "image/png" });
  const { ref, blob } = await readImage(file);
  const { title, alt, questions, answers = [] } = sample;
  return { ref: { ...ref, name: title, alt, questions, answers, isDrawing: true }, blob };
}

export function sampleUrl(sample: Sample): string {
  return `/samples/${sample.file}`;
}

/** The file is made by this project, so entries of another shape are left out without a message. */
function parseSamples(body: unknown): readonly Sample[] {
  return Array.isArray(body) ? body.filter(isSample) : [];
}

function isSample(value: unknown): value is Sample {
  if (typeof value !== "object" || value === null) return false;
  const {
    file,
    title,
    alt,
    badge,
    questions,
    answers = [],
  } = value as Partial<Record<keyof Sample, unknown>>;
  const isText = (text: unknown): boolean => typeof text === "string" && text !== "";
  const isBadge = badge === undefined || isText(badge);
  return (
    isText(file) &&
    isText(title) &&
    isText(alt) &&
    isBadge &&
    [questions, answers].every((texts) => Array.isArray(texts) && texts.every(isText))
  );
}
