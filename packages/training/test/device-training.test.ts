/** Trains in the memory of a graphics device; skipped on a machine without a graphics driver. */
import { DeviceMemory, parseDevice, RuntimeError } from "@llava/runtime";
import { expect, it, type TestContext } from "vitest";
import { train } from "../src/loop/trainer.ts";
import { hostArray, TrainingState } from "../src/state/training-state.ts";
import { folder, options, recipe, trainUntil } from "./tiny-run.ts";

const device = parseDevice("webgpu");

async function requireGpu(context: TestContext): Promise<void> {
  try {
    (await DeviceMemory.open(device))[Symbol.dispose]();
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.code !== "no_provider") throw error;
    context.skip("no WebGPU adapter on this machine");
  }
}

it("weights and moments stay on the device and follow those of the CPU", async (context) => {
  await requireGpu(context);
  using state = new TrainingState();
  using reference = new TrainingState();
  await train(recipe(), reference, options());
  await train(recipe(), state, options({ device }));
  expect(state.device).toEqual(device);
  for (const [name, value] of [...state.parameters, ...state.moments]) {
    expect([name, value.device]).toEqual([name, device]);
    const expected = (reference.parameters.get(name) ?? reference.moments.get(name))?.data() ?? [];
    const actual = await hostArray(value);
    expect(actual.length).toBe(expected.length);
    for (const [i, x] of actual.entries()) expect(Math.abs(x - (expected[i] ?? 0))).toBeLessThan(1e-4);
  }
});

it("a run that was saved on the device resumes on it and on the CPU", async (context) => {
  await requireGpu(context);
  using begun = new TrainingState();
  expect(await trainUntil(5, begun, { device })).toBe(5);
  for (const next of [device, parseDevice("cpu")]) {
    using resumed = await TrainingState.load(folder);
    expect(resumed.position).toEqual({ phase: "one", step: 5 });
    for (const [name, value] of resumed.parameters)
      expect(value.data()).toEqual(await hostArray(begun.value(name)));
    expect(await trainUntil(3, resumed, { device: next, folder: `${folder}/${next.type}` })).toBe(3);
  }
});

it("a state comes back to the host as it was", async (context) => {
  await requireGpu(context);
  using state = new TrainingState();
  await trainUntil(2, state);
  const before = new Map([...state.parameters].map(([name, value]) => [name, value.data().slice()]));
  await state.moveTo(device);
  await state.moveTo(parseDevice("cpu"));
  for (const [name, value] of state.parameters) expect(value.data()).toEqual(before.get(name));
});
