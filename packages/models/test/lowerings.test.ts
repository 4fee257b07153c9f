/** What is trained is what is served: both lowerings of one definition, run on the same weights. */
import { Checkpoint } from "@llava/checkpoint";
import { describe, expect, it } from "vitest";
import { decoderGraph, encoderGraph, type StoredTensor } from "../src/index.ts";
import { CASES, inputsOf, partsOf, runServing, runTraining, withWeights } from "./tiny-llava.ts";

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

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? Number.NaN))), 0);
}
