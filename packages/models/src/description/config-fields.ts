/** Config fields are the pieces of which every family builds the schema of its part of config.json. */
import { parseModelJson } from "@llava/processing";
import { LlavaError } from "@llava/protocol";
import { z } from "zod";

/** A missing key and null mean the same in these files. */
export function orElse<T extends z.ZodType>(schema: T, fallback: z.output<T>) {
  return schema.nullish().transform((value): z.output<T> => value ?? fallback);
}

/** Like `orElse`, with undefined where the file has nothing. */
export function optional<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform((value): z.output<T> | undefined => value ?? undefined);
}

// The upper bounds keep a made-up file from making us allocate; they are far above every published model.
export const width = z.int().min(8).max(16_384);
export const innerWidth = z.int().min(8).max(131_072);
export const layerCount = z.int().min(1).max(256);
export const headCount = z.int().min(1).max(1024);
export const epsilon = z.number().positive().max(0.1);
export const tokenId = z.int().min(0).max(1_000_000);
/** One id, several, or none. */
export const tokenIds = z.union([tokenId, z.array(tokenId).max(64)]).nullish();
export type TokenIds = z.output<typeof tokenIds>;

/** Reads one section of config.json, so that an error names the key from the top of the file ("text_config.hidden_size"). */
export function parseSection<T>(key: string, schema: z.ZodType<T>, section: unknown): T {
  const parsed = parseModelJson("config.json", z.object({ [key]: schema }), { [key]: section });
  return parsed[key] as T;
}

export const TAKE_LLAVA_15 = "take a LLaVA 1.5 checkpoint, for example llava-hf/llava-1.5-7b-hf";

/** The error for a model that is well formed, but not built here. */
export function unsupported(what: string, instead: string): LlavaError {
  return new LlavaError("unsupported_model", `This model cannot be run: ${what}. What to do: ${instead}.`);
}

/** The error for a config.json whose values contradict each other. */
export function contradiction(what: string): LlavaError {
  return new LlavaError(
    "invalid_checkpoint",
    `config.json: ${what}. Copy the file again from where the model came from.`,
  );
}

export function requireDivisible(key: string, value: number, divisorKey: string, divisor: number): void {
  if (value % divisor !== 0)
    throw contradiction(`${key} ${value} cannot be divided by ${divisorKey} ${divisor}`);
}
