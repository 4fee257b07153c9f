/** Tests the demo model's recipe: its graphs fit together from phase to phase, and its batches depend on the step alone. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { decoderGraph, encoderGraph, type StoredTensor } from "@llava/models";
import { staticShape } from "@llava/onnx";
import { describe, expect, it } from "vitest";
import {
  appendAdamW,
  type BatchArray,
  BatchBuffer,
  OPTIMIZER_IO,
  type Objective,
  type Phase,
} from "@llava/training";
import { DEMO_MODEL } from "../src/recipe/model/demo-model.ts";
import { demoPhases, demoTokenizer } from "../src/recipe/phases.ts";

const phases = demoPhases();
const HEADS = "tower_heads.";

function build(phase: Phase): Objective {
  return phase.build({ computeType: "float32" });
}

/** The arrays of a batch of the phase. */
function batchOf(phase: Phase): BatchBuffer {
  const { graph, parameters } = build(phase);
  return new BatchBuffer(graph.inputs.filter(({ name }) => !parameters.has(name)));
}

function sha256(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

function bytesOf({ buffer, byteOffset, byteLength }: BatchArray): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function shapesOf(phase: Phase): Map<string, string> {
  return new Map([...build(phase).parameters].map(([name, tensor]) => [name, staticShape(tensor).join()]));
}

/** What serving asks of the exported folder. */
function servedWeights(): Map<string, string> {
  const asked = new Map<string, string>();
  for (const phase of phases) for (const [name, shape] of shapesOf(phase)) asked.set(name, shape);
  const used = new Map<string, string>();
  const source = {
    get(name: string): StoredTensor {
      const shape = asked.get(name);
      if (shape === undefined) throw new Error(`No phase trains ${name}.`);
      used.set(name, shape);
      return {
        dtype: "F32",
        shape: shape.split(",").map(Number),
        file: "model.safetensors",
        offset: 0,
        length: 0,
      };
    },
  };
  encoderGraph(DEMO_MODEL, source);
  decoderGraph(DEMO_MODEL, source);
  return used;
}

/** Hashes of the tokenizer's vocabulary and of some batches, in the order of the graph's inputs, by phase and step. */
interface Golden {
  readonly vocabulary: string;
  readonly batches: Readonly<Record<string, Readonly<Record<string, string>>>>;
}
const golden = JSON.parse(
  readFileSync(new URL("./golden/batch-hashes.json", import.meta.url), "utf8"),
) as Golden;

it("the tokenizer is the one that the shipped model was trained with", () => {
  expect(sha256(JSON.stringify(demoTokenizer().vocabulary))).toBe(golden.vocabulary);
});

describe.each(phases.map((phase) => [phase.name, phase] as const))("the phase %s", (_, phase) => {
  it("is a graph with a scalar loss that every trained parameter has a gradient of", () => {
    const { graph, loss, parameters } = build(phase);
    expect(loss.shape).toEqual([]);
    const trained = [...parameters.values()].filter(({ name }) => phase.trains(name));
    expect(trained.length).toBeGreaterThan(0);
    appendAdamW(graph, loss, trained, phase.optimizer);
    const next = graph.outputs.filter(({ name }) => name.startsWith("next:"));
    expect(next).toHaveLength(3 * trained.length);
    for (const { name, shape } of trained) {
      const output = next.find((candidate) => candidate.name === OPTIMIZER_IO.next(name));
      expect(output?.tensor.shape).toEqual(shape);
    }
  });

  it("writes the same batch whatever was in the arrays before", async () => {
    using clean = batchOf(phase);
    using used = batchOf(phase);
    using other = batchOf(phase);
    for (const array of Object.values(used.arrays)) {
      if (array instanceof BigInt64Array) array.fill(7n);
      else array.fill(7);
    }
    await phase.batches.fill(3, clean.arrays);
    await phase.batches.fill(2, used.arrays);
    await phase.batches.fill(3, used.arrays);
    expect(Object.keys(used.arrays)).toEqual(Object.keys(clean.arrays));
    for (const [name, array] of Object.entries(clean.arrays))
      expect([name, used.arrays[name]]).toEqual([name, array]);
    await phase.batches.fill(4, other.arrays);
    expect(other.arrays).not.toEqual(clean.arrays);
  });

  it("has the batches that the shipped model was trained on", async () => {
    const expected = golden.batches[phase.name] ?? {};
    expect(Object.keys(expected)).not.toHaveLength(0);
    using batch = batchOf(phase);
    for (const [step, hash] of Object.entries(expected)) {
      await phase.batches.fill(Number(step), batch.arrays);
      expect([step, sha256(...Object.values(batch.arrays).map(bytesOf))]).toEqual([step, hash]);
    }
  });

  it("uses parameters in the shapes of the phases before it", () => {
    const own = shapesOf(phase);
    for (const other of phases)
      for (const [name, shape] of shapesOf(other))
        expect([name, own.get(name) ?? shape]).toEqual([name, shape]);
  });
});

it("all phases together train what is served, and nothing else but heads to throw away", () => {
  const trained = new Set(
    phases.flatMap((phase) => [...shapesOf(phase).keys()].filter((name) => phase.trains(name))),
  );
  const served = servedWeights();
  expect([...trained].filter((name) => !name.startsWith(HEADS)).sort()).toEqual([...served.keys()].sort());
});

it("every phase has a name of its own, and a rate that ends where its schedule says", () => {
  expect(new Set(phases.map(({ name }) => name)).size).toBe(phases.length);
  for (const { steps, schedule } of phases) expect(schedule.steps).toBeGreaterThanOrEqual(steps);
});
