/** The training loop on a phase that takes milliseconds: stopping and going on, freezing, saving, failing. */
import { copyFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Phase, train, type TrainerOptions } from "../src/trainer.ts";
import { TrainingState } from "../src/training-state.ts";
import { tinyPhase } from "./tiny-phase.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "llava-training-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const silent = { isTTY: false, write: () => true };
const options = (change: Partial<TrainerOptions> = {}): TrainerOptions => ({
  folder,
  threads: 1,
  saveEvery: 4,
  probeEvery: 1000,
  progress: silent,
  ...change,
});
const recipe = (): Phase[] => [
  tinyPhase("one", 7),
  tinyPhase("two", 9, {
    trains: (name) => name.startsWith("first."),
    schedule: { peak: 0.05, warmup: 0.1, floor: 0, steps: 12 },
  }),
];

/** Everything that a state is, bit by bit. */
function bits(state: TrainingState): object {
  const arrays = Object.fromEntries(
    [...state.parameters, ...state.moments].map(([name, { shape, data }]) => [
      name,
      { shape, bits: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex") },
    ]),
  );
  return { arrays, position: state.position, finished: [...state.finished] };
}

/** Trains until `step` steps of all phases together are done, then aborts. */
async function trainUntil(
  step: number,
  state: TrainingState,
  change: Partial<TrainerOptions> = {},
): Promise<number> {
  const stop = new AbortController();
  let done = 0;
  const onStep = (): void => {
    done += 1;
    if (done === step) stop.abort();
  };
  await train(recipe(), state, options({ signal: stop.signal, onStep, ...change }));
  return done;
}

describe("stopping and going on", () => {
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

  it("begins the optimizer anew with each phase", async () => {
    const state = new TrainingState();
    await train(recipe(), state, options());
    expect([...state.moments.keys()].sort()).toEqual(
      ["first.bias", "first.weight"].flatMap((name) => [`mean:${name}`, `variance:${name}`]).sort(),
    );
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

describe("a phase", () => {
  it("learns its batch by heart", async () => {
    const state = new TrainingState();
    const losses: number[] = [];
    const batches = tinyPhase("batch", 1);
    const phase = tinyPhase("batch", 300, { fill: (_, batch) => batches.fill(0, batch) });
    await train([phase], state, options({ saveEvery: 1000, onStep: ({ loss }) => losses.push(loss) }));
    expect(losses[0]).toBeGreaterThan(0.8);
    expect(losses.at(-1)).toBeLessThan(0.01);
  });

  it("leaves what it does not train as it is, byte for byte, and changes all that it trains", async () => {
    const state = new TrainingState();
    const [first, second] = recipe();
    if (!first || !second) throw new Error("The recipe has two phases.");
    await train([first], state, options());
    const before = new Map([...state.parameters].map(([name, { data }]) => [name, data.slice()]));
    await train([first, second], state, options());
    for (const [name, { data }] of state.parameters) {
      const isSame = data.every((value, i) => Object.is(value, before.get(name)?.[i]));
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

  it("whose loss is no number ends the run, and what was saved stays good", async () => {
    const sound = tinyPhase("one", 7);
    const broken = tinyPhase("one", 7, {
      fill: (step, batch) => {
        sound.fill(step, batch);
        if (step === 5) batch["points"]?.fill(Number.NaN as never);
      },
    });
    const state = new TrainingState();
    await expect(train([broken], state, options())).rejects.toThrow(/loss is NaN .* step 5 of one/);
    const saved = await TrainingState.load(folder);
    expect(saved.position).toEqual({ phase: "one", step: 4 });
    for (const { data } of saved.parameters.values()) expect(data.every(Number.isFinite)).toBe(true);
  });

  it("whose gradient is no number is not saved, though its loss still is one", async () => {
    const sound = tinyPhase("one", 7);
    const broken = tinyPhase("one", 7, {
      fill: (step, batch) => {
        sound.fill(step, batch);
        // So large that only the squares of the gradient are too large for float32.
        if (step === 3) batch["weights"]?.fill(1e25 as never);
      },
    });
    const run = train([broken], new TrainingState(), options({ saveEvery: 1 }));
    await expect(run).rejects.toThrow(/loss is \d\S+ and the gradient's norm Infinity at step 3 of one/);
    const saved = await TrainingState.load(folder);
    expect(saved.position).toEqual({ phase: "one", step: 3 });
    for (const { data } of saved.parameters.values()) expect(data.every(Number.isFinite)).toBe(true);
  });
});

describe("a save", () => {
  const file = (name: string): string => path.join(folder, name);
  const weights = (of: string): string => path.join(folder, of, "model.safetensors");

  it("comes back as it was, also without a position or a parameter", async () => {
    const empty = new TrainingState();
    await empty.save(folder);
    expect(bits(await TrainingState.load(folder))).toEqual(bits(empty));
    await trainUntil(3, empty);
    expect(bits(await TrainingState.load(folder))).toEqual(bits(empty));
  });

  it("that is interrupted at any point leaves the state before it", async () => {
    const state = new TrainingState();
    await trainUntil(4, state);
    const before = bits(state);
    await copyFile(file("state.json"), file("copy.json"));
    const named = JSON.parse(await readFile(file("state.json"), "utf8")) as { weights: string };
    const other = named.weights === "weights-a" ? "weights-b" : "weights-a";
    await trainUntil(2, state);
    // The new weights are there, but not yet the file that names them.
    await copyFile(file("copy.json"), file("state.json"));
    expect(bits(await TrainingState.load(folder))).toEqual(before);
    // The new weights are half there, under their own or a temporary name.
    await copyFile(weights(other), path.join(folder, other, "model.safetensors.0a1b.tmp"));
    await truncate(weights(other), 100);
    expect(bits(await TrainingState.load(folder))).toEqual(before);
    await rm(path.join(folder, other), { recursive: true });
    expect(bits(await TrainingState.load(folder))).toEqual(before);
    // The small file is half there.
    await writeFile(file("state.json.new"), '{"weights":"wei');
    expect(bits(await TrainingState.load(folder))).toEqual(before);
  });

  it("clears away what an interrupted one left", async () => {
    const state = new TrainingState();
    for (let i = 0; i < 3; i++) await state.save(folder);
    for (const of of ["weights-a", "weights-b"])
      await writeFile(path.join(folder, of, "model.safetensors.0a1b.tmp"), "half");
    await state.save(folder);
    await state.save(folder);
    expect((await readdir(folder)).sort()).toEqual(["state.json", "weights-a", "weights-b"]);
    for (const of of ["weights-a", "weights-b"])
      expect(await readdir(path.join(folder, of))).toEqual(["model.safetensors"]);
  });

  it("of a run that began anew in a used folder does not write over the old weights first", async () => {
    await trainUntil(2, new TrainingState());
    await copyFile(file("state.json"), file("copy.json"));
    const old = bits(await TrainingState.load(folder));
    await new TrainingState().save(folder);
    await copyFile(file("copy.json"), file("state.json"));
    expect(bits(await TrainingState.load(folder))).toEqual(old);
  });

  it.each([
    "",
    "{}",
    "null",
    '{"weights":"../../etc","position":null,"finished":[]}',
    '{"weights":"weights-a","position":{"phase":"one","step":-1},"finished":[]}',
  ])("that is none is refused in a sentence: %s", async (content) => {
    await trainUntil(1, new TrainingState());
    await writeFile(file("state.json"), content);
    await expect(TrainingState.load(folder)).rejects.toMatchObject({
      code: "invalid_checkpoint",
      message: /--fresh\.$/,
    });
  });

  it("of another recipe is refused by name", async () => {
    const state = new TrainingState();
    state.parameter("first.weight", [5, 5], () => new Float32Array(25));
    const error = {
      code: "invalid_checkpoint",
      message: expect.stringMatching(/first\.weight is \[5,5\] .* wants \[12,6\]; .*--fresh/),
    };
    await expect(train(recipe(), state, options())).rejects.toMatchObject(error);
  });
});
