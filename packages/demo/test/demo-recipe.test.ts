/** The demo model's recipe: its graphs fit together from phase to phase, and its batches depend on the step alone. */
import { decoderGraph, encoderGraph, type StoredTensor } from "@llava/models";
import { staticShape } from "@llava/onnx";
import { describe, expect, it } from "vitest";
import { appendAdamW, type Batch, OPTIMIZER_IO, type Phase } from "@llava/training";
import { DEMO_MODEL } from "../src/recipe/model/demo-model.ts";
import { demoPhases } from "../src/recipe/phases.ts";

const phases = demoPhases();
const HEADS = "tower_heads.";

function shapesOf(phase: Phase): Map<string, string> {
  return new Map([...phase.build().parameters].map(([name, tensor]) => [name, staticShape(tensor).join()]));
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

describe.each(phases.map((phase) => [phase.name, phase] as const))("the phase %s", (_, phase) => {
  it("is a graph with a scalar loss that every trained parameter has a gradient of", () => {
    const { graph, loss, parameters } = phase.build();
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

  it("writes the same batch whatever was in the arrays before", () => {
    const arrays = (old: number): Batch => {
      const { graph, parameters } = phase.build();
      return Object.fromEntries(
        graph.inputs
          .filter(({ name }) => !parameters.has(name))
          .map((input) => {
            const size = staticShape(input).reduce((a, b) => a * b, 1);
            const array =
              input.dtype === "int64"
                ? new BigInt64Array(size).fill(BigInt(old))
                : new Float32Array(size).fill(old);
            return [input.name, array];
          }),
      );
    };
    const [clean, used] = [arrays(0), arrays(7)];
    phase.fill(3, clean);
    phase.fill(2, used);
    phase.fill(3, used);
    expect(Object.keys(used)).toEqual(Object.keys(clean));
    for (const [name, array] of Object.entries(clean)) expect([name, used[name]]).toEqual([name, array]);
    const other = arrays(0);
    phase.fill(4, other);
    expect(other).not.toEqual(clean);
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
