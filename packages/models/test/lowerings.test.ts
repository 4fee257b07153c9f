/** Checks that what is trained is what is served: runs both lowerings of one definition on the same weights. */
import { Checkpoint } from "@llava/checkpoint";
import { describe, expect, it } from "vitest";
import { crossEntropy, gradients, sizeAt } from "@llava/onnx";
import { type ComputeType, decoderGraph, encoderGraph, type StoredTensor } from "../src/index.ts";
import {
  CASES,
  inputsOf,
  partsOf,
  runGraph,
  runServing,
  runTraining,
  trainingGraph,
  withWeights,
} from "./tiny-llava.ts";

describe("training and serving", () => {
  it.each(CASES)("compute the same features and logits: %s", async (_, shape) => {
    const parts = partsOf(shape);
    await withWeights(parts, async (folder, weights, graph) => {
      const inputs = inputsOf(parts);
      const trained = await runTraining(parts, graph, weights, inputs);
      const served = await runServing(parts, folder, inputs);
      expect(Math.max(...trained.features)).toBeGreaterThan(0.1);
      expect(Math.max(...trained.logits) - Math.min(...trained.logits)).toBeGreaterThan(1);
      expect(largestDifference(trained.features, served.features)).toBeLessThanOrEqual(1e-4);
      expect(largestDifference(trained.logits, served.logits)).toBeLessThanOrEqual(1e-4);
    });
  });

  it.each(CASES)("compute in float16 what they compute in float32: %s", async (_, shape) => {
    const parts = partsOf(shape);
    const inputs = inputsOf(parts);
    await withWeights(
      parts,
      async (folder, weights, graph) => {
        const expected = await runServing(parts, folder, inputs);
        const served = await runServing(parts, folder, inputs, "float16");
        const trained = await runTraining(parts, graph, weights, inputs);
        for (const found of [served, trained]) {
          expect(relativeDifference(found.features, expected.features)).toBeLessThan(1e-2);
          expect(relativeDifference(found.logits, expected.logits)).toBeLessThan(2e-2);
          // The same numbers would mean that nothing was rounded.
          expect(largestDifference(found.logits, expected.logits)).toBeGreaterThan(1e-4);
        }
      },
      "float16",
    );
  });

  it.each(CASES)("have float32 gradients, also of float16 activations: %s", async (_, shape) => {
    const parts = partsOf(shape);
    const gradientsIn = async (computeType: ComputeType): Promise<Record<string, Float32Array>> => {
      const { graph, logits, parameters } = trainingGraph(parts, computeType);
      const [rows, classes] = [sizeAt(logits, 0), sizeAt(logits, 1)];
      const labels = graph.constant(
        "int64",
        [rows],
        BigInt64Array.from({ length: rows }, (__, i) => BigInt((3 * i) % classes)),
      );
      const weights = graph.constant("float32", [rows], new Float32Array(rows).fill(1 / rows));
      const loss = crossEntropy(graph, logits, labels, weights);
      const names = [...parameters.keys()];
      for (const [i, gradient] of gradients(graph, loss, [...parameters.values()]).entries()) {
        expect(gradient.dtype).toBe("float32");
        graph.output(`gradient ${names[i]}`, gradient);
      }
      let found: Record<string, Float32Array> = {};
      await withWeights(parts, async (__, values) => {
        const outputs = names.map((name) => `gradient ${name}`);
        found = await runGraph(parts, graph, values, inputsOf(parts), outputs);
      });
      return found;
    };
    const [wide, half] = [await gradientsIn("float32"), await gradientsIn("float16")];
    expect(Object.keys(half)).toEqual(Object.keys(wide));
    for (const [name, expected] of Object.entries(wide)) {
      // A bias of keys adds the same to all scores of a query, which softmax ignores: only rounding is left.
      if (name.endsWith("k_proj.bias")) continue;
      const difference = relativeDifference(half[name] ?? new Float32Array(), expected);
      expect([name, difference < 3e-2]).toEqual([name, true]);
    }
  });

  it("differ in the sizes of heads that they can take: serving says so before it runs", async () => {
    const parts = partsOf(CASES[0][1]);
    const odd = { ...parts, text: { ...parts.text, headSize: 24 } };
    await withWeights(odd, async (folder) => {
      const weights = await Checkpoint.open(folder);
      expect(() => decoderGraph(odd, weights)).toThrow(
        expect.objectContaining({
          name: "ServingError",
          kind: "unsupported",
          message: expect.stringContaining("24"),
        }),
      );
    });
  });

  it.each(CASES)("ask for the same weights, and for none that is not used: %s", async (_, shape) => {
    const parts = partsOf(shape);
    await withWeights(parts, async (folder, weights) => {
      const checkpoint = await Checkpoint.open(folder);
      const asked = new Set<string>();
      const source = {
        get(name: string): StoredTensor {
          asked.add(name);
          return checkpoint.get(name);
        },
      };
      const graphs = [encoderGraph(parts, source), decoderGraph(parts, source)].map((bytes) =>
        Buffer.from(bytes),
      );
      expect([...asked].sort()).toEqual(weights.map(({ name }) => name).sort());
      const names = (text: string): boolean => graphs.some((bytes) => bytes.includes(text));
      for (let layer = 0; layer < 4; layer++) {
        expect(names(`vision_tower.vision_model.encoder.layers.${layer}.`)).toBe(layer < shape.layersToRun);
      }
      expect(names("post_layernorm")).toBe(false);
      expect(names("lm_head")).toBe(!shape.tied);
      expect(names("multi_modal_projector.linear_1.bias")).toBe(shape.bias && shape.projector === undefined);
      expect(names("multi_modal_projector.bias")).toBe(shape.projector === "linear");
      for (const part of ["q_proj", "k_proj", "v_proj"])
        expect(names(`language_model.model.layers.0.self_attn.${part}.bias`)).toBe(shape.qkvBias === true);
    });
  });
});

/** The largest difference as a share of the largest number. */
function relativeDifference(a: Float32Array, expected: Float32Array): number {
  return largestDifference(a, expected) / Math.max(...expected.map(Math.abs));
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? Number.NaN))), 0);
}
