/** Lists the types in which the weights of a model can be kept. */

/**
 * "float32": cast when the model is loaded, the fastest and largest. "float16": they stay in the file as they are and
 * are cast whenever they are used. "int8" and "int4": the language model in blocks of 64 values that share a scale.
 */
export type WeightDType = "float32" | "float16" | "int8" | "int4";

export const WEIGHT_DTYPES: readonly WeightDType[] = ["float32", "float16", "int8", "int4"];
