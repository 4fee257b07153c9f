/** Extracts numbers and limits from a model card, which the page then quotes. */

export interface Accuracy {
  readonly name: string;
  /** Share of right answers, percent; the ends of `interval` are percent too, and null where the card gives none. */
  readonly percent: number;
  readonly interval: readonly [low: number, high: number] | null;
  readonly count: number;
}

export interface ModelFacts {
  /** Number of parameters as the card writes it, such as "3.9 million". */
  readonly parameters: string | null;
  readonly isForDrawingsOnly: boolean;
  /**
   * Accuracy over the whole test, and of each kind of question in `kinds`; null and empty where the card has no such
   * table.
   */
  readonly total: Accuracy | null;
  readonly kinds: readonly Accuracy[];
}

/**
 * A row such as "| **all** | 96.1 (95–97) | 3200 | … |", whose first columns were measured on images of the
 * training's kind.
 */
const ROW =
  /^\|\s*\**([a-z][a-z ]*?)\**\s*\|\s*(\d+(?:\.\d+)?)\s*(?:\((\d+)\s*[–-]\s*(\d+)\))?\s*\|\s*(\d+)\s*\|/gim;

/** @param card Markdown */
export function modelFacts(card: string | null | undefined): ModelFacts {
  const text = card ?? "";
  const rows = [...text.matchAll(ROW)].map(([, name = "", percent, low, high, count]): Accuracy => {
    const interval = low === undefined || high === undefined ? null : ([Number(low), Number(high)] as const);
    return { name, percent: Number(percent), interval, count: Number(count) };
  });
  return {
    parameters: /(\d+(?:\.\d+)? (?:thousand|million|billion)) parameters/i.exec(text)?.[1] ?? null,
    isForDrawingsOnly: /only on drawings/i.test(text) || /never saw a photograph/i.test(text),
    total: rows.find(({ name }) => name === "all") ?? null,
    kinds: rows.filter(({ name }) => name !== "all"),
  };
}
