/** Tests weights of a checkpoint that a run starts from: shared while frozen, copied when trained, saved only then. */
import { Checkpoint } from "@llava/checkpoint";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { train } from "../src/loop/trainer.ts";
import { type ParameterSource, TrainingState } from "../src/state/training-state.ts";
import { tinyPhase } from "./tiny-phase.ts";
import { bits, folder, options } from "./tiny-run.ts";

/** The weights of a trained tiny phase, as a source that counts its reads. */
async function trainedSource(): Promise<
  ParameterSource & { readonly arrays: ReadonlyMap<string, Float32Array>; readonly reads: string[] }
> {
  const state = new TrainingState();
  await train([tinyPhase("base", 5)], state, options({ folder: path.join(folder, "base") }));
  const arrays = new Map([...state.parameters].map(([name, value]) => [name, value.data()]));
  const reads: string[] = [];
  return {
    arrays,
    reads,
    has: (name) => arrays.has(name),
    get: (name) => ({ shape: state.value(name).shape }),
    read: async (name) => {
      reads.push(name);
      return await Promise.resolve(arrays.get(name) ?? new Float32Array());
    },
  };
}
const first = (name: string): boolean => name.startsWith("first.");
const second = (name: string): boolean => name.startsWith("second.");

describe("a run that starts from a checkpoint", () => {
  it("shares the arrays of what it never trains, in every phase, and reads each once", async () => {
    const source = await trainedSource();
    const before = new Map([...source.arrays].map(([name, array]) => [name, array.slice()]));
    const state = new TrainingState(source);
    const phases = [tinyPhase("one", 3, { trains: first }), tinyPhase("two", 3, { trains: second })];
    await train(phases, state, options());
    expect([...state.parameters.keys()].sort()).toEqual(["first.bias", "first.weight", "second.weight"]);
    expect(state.value("norm.weight").data()).toBe(source.arrays.get("norm.weight"));
    expect(state.value("norm.bias").data()).toBe(source.arrays.get("norm.bias"));
    expect(source.reads.toSorted()).toEqual(
      [...source.arrays.keys(), "second.weight"].toSorted(), // once frozen, once more to be trained
    );
    for (const [name, array] of source.arrays) expect([name, array]).toEqual([name, before.get(name)]);
  });

  it("saves what it has trained, and resumes with the same bits", async () => {
    const source = await trainedSource();
    const phase = tinyPhase("one", 6, { trains: first });
    const whole = new TrainingState(source);
    await train([phase], whole, options({ folder: path.join(folder, "whole") }));
    const stop = new AbortController();
    const onStep = ({ step }: { readonly step: number }): void => {
      if (step === 4) stop.abort();
    };
    await train([phase], new TrainingState(source), options({ signal: stop.signal, onStep }));
    const saved = await Checkpoint.open(path.join(folder, "weights-a"));
    const [parameters, moments] = [/^first\./, /^(mean|variance):first\./].map((of) =>
      saved.names().filter((name) => of.test(name)),
    );
    expect([saved.names().length, parameters?.length, moments?.length]).toEqual([6, 2, 4]);
    const resumed = await TrainingState.load(folder, source);
    await train([phase], resumed, options());
    expect(bits(resumed)).toEqual(bits(whole));
  });

  it("refuses the checkpoint of another model by the parameter's name", async () => {
    const source = { ...(await trainedSource()), get: () => ({ shape: [2, 2] }) };
    const run = train([tinyPhase("one", 3)], new TrainingState(source), options());
    await expect(run).rejects.toMatchObject({
      code: "invalid_checkpoint",
      message:
        /first\.weight is \[2,2\] in the checkpoint, but the recipe wants \[12,6\]; start from a checkpoint/,
    });
  });
});
