/** Tests the training loop on phases that take milliseconds: stopping and resuming, freezing, aborting, failing. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import type { Graph } from "@llava/onnx";
import { describe, expect, it } from "vitest";
import { shuffled } from "../src/data/sample-order.ts";
import { compilePhase, type Phase } from "../src/loop/phase.ts";
import { train } from "../src/loop/trainer.ts";
import { TrainingState } from "../src/state/training-state.ts";
import { tinyBatches, tinyData, tinyPhase } from "./tiny-phase.ts";
import { bits, folder, options, recipe, trainUntil } from "./tiny-run.ts";

describe("stopping and resuming", () => {
  // Within a phase, at a save, at a phase's last step, in the second phase, at the very end.
  it.each([1, 3, 4, 7, 8, 12, 16])(
    "after %i of 16 steps gives the same bits as not stopping",
    async (step) => {
      const whole = new TrainingState();
      await train(recipe(), whole, options({ folder: path.join(folder, "whole") }));
      const parted = path.join(folder, "parted");
      expect(await trainUntil(step, new TrainingState(), { folder: parted })).toBe(step);
      const resumed = await TrainingState.load(parted);
      expect(await trainUntil(Infinity, resumed, { folder: parted })).toBe(16 - step);
      expect(bits(resumed)).toEqual(bits(whole));
      expect(bits(await TrainingState.load(parted))).toEqual(bits(whole));
      expect([...resumed.finished]).toEqual(["one", "two"]);
    },
  );

  it("after every single step does too", async () => {
    const whole = new TrainingState();
    await train(recipe(), whole, options({ folder: path.join(folder, "whole") }));
    const parted = path.join(folder, "parted");
    await trainUntil(1, new TrainingState(), { folder: parted });
    for (let step = 2; step <= 16; step++)
      await trainUntil(1, await TrainingState.load(parted), { folder: parted });
    const last = await TrainingState.load(parted);
    expect(await trainUntil(Infinity, last, { folder: parted })).toBe(0);
    expect(bits(last)).toEqual(bits(whole));
  });

  it("in the second pass over a shuffled dataset gives the same bits as not stopping", async () => {
    // 20 samples are two and a half batches of eight.
    const phase = tinyPhase("one", 7, { batches: tinyData({ order: shuffled(20, 1) }) });
    const whole = new TrainingState();
    await train([phase], whole, options({ folder: path.join(folder, "whole") }));
    const stop = new AbortController();
    const onStep = ({ step }: { readonly step: number }): void => {
      if (step === 4) stop.abort();
    };
    await train([phase], new TrainingState(), options({ signal: stop.signal, onStep }));
    const resumed = await TrainingState.load(folder);
    await train([phase], resumed, options());
    expect(bits(resumed)).toEqual(bits(whole));
    const inOrder = new TrainingState();
    await train([tinyPhase("one", 7)], inOrder, options());
    expect(bits(inOrder)).not.toEqual(bits(whole));
  });

  it("begins the optimizer anew with each phase", async () => {
    const state = new TrainingState();
    await train(recipe(), state, options());
    expect([...state.moments.keys()].sort()).toEqual(
      ["first.bias", "first.weight"].flatMap((name) => [`mean:${name}`, `variance:${name}`]).sort(),
    );
  });

  it("stops after the phase `until`, and resumes from there", async () => {
    const whole = new TrainingState();
    await train(recipe(), whole, options({ folder: path.join(folder, "whole") }));
    const state = new TrainingState();
    await train(recipe(), state, options({ until: "one" }));
    expect([...state.finished]).toEqual(["one"]);
    await train(recipe(), state, options({ until: "one" }));
    expect(state.position).toEqual({ phase: "one", step: 7 });
    await train(recipe(), state, options());
    expect(bits(state)).toEqual(bits(whole));
  });

  it("refuses the state of a recipe with other phases", async () => {
    const state = new TrainingState();
    await train([tinyPhase("practice", 3)], state, options());
    const renamed = train([tinyPhase("hardExamples", 3)], state, options());
    await expect(renamed).rejects.toMatchObject({
      code: "invalid_checkpoint",
      message: /has the phase practice, but the phases of the recipe are hardExamples; start with --fresh/,
    });
  });

  it("does nothing when the signal was aborted before, or when all is done", async () => {
    const state = new TrainingState();
    await train(recipe(), state, options({ signal: AbortSignal.abort() }));
    expect([state.parameters.size, await readdir(folder)]).toEqual([0, []]);
    await train(recipe(), state, options());
    const before = bits(state);
    expect(await trainUntil(1, state)).toBe(0);
    expect(bits(state)).toEqual(before);
  });
});

describe("an abort", () => {
  it("while a finished phase is judged loses none of its steps", async () => {
    const stop = new AbortController();
    const probe = async (): Promise<string> => {
      stop.abort();
      return await Promise.resolve("judged");
    };
    const state = new TrainingState();
    const phases = [tinyPhase("one", 7, { probe }), tinyPhase("two", 3)];
    await train(phases, state, options({ signal: stop.signal, log: () => {} }));
    expect([...state.finished]).toEqual(["one"]);
    expect(bits(await TrainingState.load(folder))).toEqual(bits(state));
  });

  it("does not wait for the phase to be judged", async () => {
    const stop = new AbortController();
    const lines: string[] = [];
    const phase = tinyPhase("one", 7, { probe: async () => await Promise.resolve("judged") });
    const onStep = ({ step }: { readonly step: number }): void => {
      if (step === 3) stop.abort();
    };
    await train(
      [phase],
      new TrainingState(),
      options({ signal: stop.signal, onStep, log: (l) => lines.push(l) }),
    );
    expect(lines).toEqual([]);
  });
});

describe("a phase", () => {
  it("learns its batch by heart", async () => {
    const state = new TrainingState();
    const losses: number[] = [];
    const phase = tinyPhase("batch", 300, {
      batches: { ...tinyBatches, fill: async (_, batch) => await tinyBatches.fill(0, batch) },
    });
    await train([phase], state, options({ saveEvery: 1000, onStep: ({ loss }) => losses.push(loss) }));
    expect(losses[0]).toBeGreaterThan(0.8);
    expect(losses.at(-1)).toBeLessThan(0.01);
  });

  it("in float16 learns like in float32, with weights and moments in float32", async () => {
    const phase = tinyPhase("half", 300, {
      batches: { ...tinyBatches, fill: async (_, batch) => await tinyBatches.fill(0, batch) },
    });
    const losses = { float16: [] as number[], float32: [] as number[] };
    const states = { float16: new TrainingState(), float32: new TrainingState() };
    for (const computeType of ["float16", "float32"] as const) {
      const onStep = ({ loss }: { readonly loss: number }): unknown => losses[computeType].push(loss);
      await train([phase], states[computeType], options({ saveEvery: 1000, computeType, onStep }));
    }
    expect(losses.float16.at(-1)).toBeLessThan(0.01);
    for (const [i, loss] of losses.float16.entries())
      expect(Math.abs(loss - (losses.float32[i] ?? 0))).toBeLessThan(0.02);
    for (const value of [...states.float16.parameters.values(), ...states.float16.moments.values()])
      expect(value.dtype).toBe("float32");
  });

  it("in float16 is built in float16 and has a scaled loss, in other types not", async () => {
    const graphs = new Map<string, Graph>();
    const phase = tinyPhase("half", 1);
    const kept: Phase = {
      ...phase,
      build: (given) => {
        const objective = phase.build(given);
        graphs.set(given.computeType, objective.graph);
        return objective;
      },
    };
    for (const computeType of ["float32", "float16"] as const) {
      const { step } = await compilePhase(kept, new TrainingState(), { computeType, threads: 1 });
      step[Symbol.dispose]();
    }
    const isScaled = ({ initializers }: Graph): boolean =>
      initializers.some(({ content }) => "data" in content && content.data[0] === 1024);
    const isHalf = ({ nodes }: Graph): boolean =>
      nodes.some(({ outputs }) => outputs[0]?.dtype === "float16");
    expect([...graphs].map(([type, graph]) => [type, isHalf(graph), isScaled(graph)])).toEqual([
      ["float32", false, false],
      ["float16", true, true],
    ]);
  });

  it("leaves what it does not train as it is, byte for byte, and changes all that it trains", async () => {
    const state = new TrainingState();
    const [first, second] = recipe();
    if (!first || !second) throw new Error("The recipe has two phases.");
    await train([first], state, options());
    const before = new Map([...state.parameters].map(([name, value]) => [name, value.data().slice()]));
    await train([first, second], state, options());
    for (const [name, value] of state.parameters) {
      const isSame = value.data().every((element, i) => Object.is(element, before.get(name)?.[i]));
      expect([name, isSame]).toEqual([name, !name.startsWith("first.")]);
    }
  });

  it("that trains nothing is a mistake in the recipe", async () => {
    const phase = tinyPhase("idle", 3, { trains: () => false });
    await expect(train([phase], new TrainingState(), options())).rejects.toThrow("idle trains none");
  });

  it("reports each step, and its quality now and then and at the end", async () => {
    const lines: string[] = [];
    const steps: number[] = [];
    const phase = tinyPhase("one", 7, {
      probe: async (state) => await Promise.resolve(`${state.parameters.size} parameters`),
    });
    await train(
      [phase],
      new TrainingState(),
      options({ probeEvery: 3, log: (line) => lines.push(line), onStep: ({ step }) => steps.push(step) }),
    );
    expect(steps).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(lines).toEqual([
      "  one, step 3: 5 parameters",
      "  one, step 6: 5 parameters",
      "one: 5 parameters",
    ]);
  });

  it("whose data fails ends the run after the step that is under way", async () => {
    const broken = tinyPhase("one", 7, {
      batches: {
        ...tinyBatches,
        fill: async (step, batch) => {
          if (step === 3) throw new Error("the data is gone");
          await tinyBatches.fill(step, batch);
        },
      },
    });
    const parameters = ({ parameters: all }: TrainingState): unknown =>
      [...all].map(([name, value]) => [name, value.data().slice()]);
    const state = new TrainingState();
    await expect(train([broken], state, options())).rejects.toThrow("the data is gone");
    const atOnce = parameters(state);
    const stopped = new TrainingState();
    await trainUntil(3, stopped);
    expect(atOnce).toEqual(parameters(stopped));
  });

  it("whose loss is no number ends the run, and what was saved stays good", async () => {
    const broken = tinyPhase("one", 7, {
      batches: {
        ...tinyBatches,
        fill: async (step, batch) => {
          await tinyBatches.fill(step, batch);
          if (step === 5) batch["points"]?.fill(Number.NaN as never);
        },
      },
    });
    const state = new TrainingState();
    await expect(train([broken], state, options())).rejects.toThrow(/loss is NaN .* step 5 of one/);
    const saved = await TrainingState.load(folder);
    expect(saved.position).toEqual({ phase: "one", step: 4 });
    for (const value of saved.parameters.values()) expect(value.data().every(Number.isFinite)).toBe(true);
  });

  it("whose gradient is no number is not saved, though its loss still is one", async () => {
    const broken = tinyPhase("one", 7, {
      batches: {
        ...tinyBatches,
        fill: async (step, batch) => {
          await tinyBatches.fill(step, batch);
          // So large that only the squares of the gradient are too large for float32.
          if (step === 3) batch["weights"]?.fill(1e25 as never);
        },
      },
    });
    const run = train([broken], new TrainingState(), options({ saveEvery: 1 }));
    await expect(run).rejects.toThrow(/loss is \d\S+ and the gradient's norm Infinity at step 3 of one/);
    const saved = await TrainingState.load(folder);
    expect(saved.position).toEqual({ phase: "one", step: 3 });
    for (const value of saved.parameters.values()) expect(value.data().every(Number.isFinite)).toBe(true);
  });
});
