/** Makes starting values for the parameters that no checkpoint has. */
import { elementCount } from "@llava/onnx";

/** A source of numbers that are uniform in [0, 1). */
export interface UniformSource {
  next(): number;
}

/**
 * Norm weights are 1, biases 0, all others normal. Linear layers [out, in] get the deviation 1/√in: at widths of a few
 * hundred the usual 0.02 leaves attention almost uniform and costs a third more steps. Layers that write to the residual
 * stream are divided by √(2·layers), as in GPT-2; tables of embeddings and positions get a small constant deviation.
 */
export function initialValues(
  name: string,
  shape: readonly number[],
  random: UniformSource,
  layers: number,
): Float32Array {
  const size = elementCount(shape);
  if (/norm\d?\.weight$/.test(name)) return new Float32Array(size).fill(1);
  if (name.endsWith(".bias")) return new Float32Array(size);
  return normal(size, standardDeviation(name, shape, layers), random);
}

function standardDeviation(name: string, shape: readonly number[], layers: number): number {
  if (name.endsWith("embed_tokens.weight")) return 0.02;
  if (/position_embedding|class_embedding/.test(name)) return 0.2;
  const fanIn = elementCount(shape.slice(1));
  const writesToStream = /(o_proj|down_proj|out_proj|fc2)\.weight$/.test(name);
  return (1 / Math.sqrt(fanIn)) * (writesToStream ? 1 / Math.sqrt(2 * layers) : 1);
}

/** Box and Muller's transform of two uniform numbers. */
function normal(size: number, deviation: number, random: UniformSource): Float32Array {
  return Float32Array.from({ length: size }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
    return deviation * radius * Math.cos(2 * Math.PI * random.next());
  });
}
