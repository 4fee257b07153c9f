/** Holds the default settings of an answer and their ranges, which are those of LLaVA's llava/serve/gradio_web_server.py. */
import type { Settings } from "./records.ts";

export const DEFAULT_SETTINGS: Settings = {
  temperature: 0.2,
  top_p: 0.7,
  max_tokens: 512,
  seed: null,
  stop: [],
  system: null,
  template: null,
};

export const RANGES = {
  temperature: { min: 0, max: 1, step: 0.05 },
  top_p: { min: 0.05, max: 1, step: 0.05 },
  max_tokens: { min: 32, max: 1024, step: 32 },
} as const;

export type RangedSetting = keyof typeof RANGES;
