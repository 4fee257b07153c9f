/** How the model is to answer; ranges and defaults are those of LLaVA's own page. */
import { signal } from "@preact/signals";
import type { Signal } from "@preact/signals";

export interface Parameter {
  readonly key: "temperature" | "top_p" | "max_tokens";
  readonly label: string;
  /** What moving it does, in a few words. */
  readonly hint: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

export const PARAMETERS: readonly Parameter[] = [
  {
    key: "temperature",
    label: "Temperature",
    hint: "0 always takes the likeliest word",
    min: 0,
    max: 1,
    step: 0.05,
  },
  {
    key: "top_p",
    label: "Top p",
    hint: "leaves out the least likely words",
    min: 0.05,
    max: 1,
    step: 0.05,
  },
  {
    key: "max_tokens",
    label: "Longest answer",
    hint: "in tokens: short words, or parts of words",
    min: 32,
    max: 1024,
    step: 32,
  },
];

export type ParameterValues = Readonly<Record<Parameter["key"], number>>;

export const PRESET_VALUES: ParameterValues = { temperature: 0.2, top_p: 0.7, max_tokens: 512 };

export function createParameters(): Signal<ParameterValues> {
  return signal(PRESET_VALUES);
}
