/** Tests values in the memory of a graphics device; skipped on a machine without a graphics driver. */
import { describe, expect, test, type TestContext } from "vitest";
import { RuntimeError } from "../native/runtime-error.ts";
import { DeviceMemory } from "./device-memory.ts";
import { Session } from "./inference-session.ts";
import { binaryModel, buildModel } from "../../test/test-model.ts";
import { Value } from "./value.ts";

async function loadOnGpu(context: TestContext, model = binaryModel("Add", ["n"])): Promise<Session> {
  try {
    return await Session.load(model, { device: { type: "webgpu" } });
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.code !== "no_provider") throw error;
    return context.skip("no WebGPU adapter on this machine");
  }
}

describe("a value in device memory", () => {
  test("is input and output in place, and is read back", async (context) => {
    using session = await loadOnGpu(context);
    using sum = session.allocate("float32", [3]);
    expect(sum.device).toEqual({ type: "webgpu" });
    expect(() => sum.data()).toThrow(/lie on webgpu: read\(\) copies them/);
    const step = Value.wrap("float32", Float32Array.of(1, 2, 3), [3]);
    using first = session.bind().input("a", step).input("b", step).output("y", sum);
    await first.run();
    using next = session.bind().input("a", sum).input("b", step).output("y", sum);
    await next.run();
    expect(await sum.read()).toEqual(Float32Array.of(3, 6, 9));
  });

  test("in place is read anew in each run by an operator that runs on the CPU", async (context) => {
    const matrix = (name: string) => ({ name, dtype: "float32", shape: [2, 2] }) as const;
    const model = buildModel({
      inputs: [matrix("a"), matrix("b")],
      outputs: [matrix("y"), { name: "determinant", dtype: "float32", shape: [] }],
      nodes: [
        { op: "Add", inputs: ["a", "b"], outputs: ["y"] },
        { op: "Det", inputs: ["a"], outputs: ["determinant"] },
      ],
    });
    using session = await loadOnGpu(context, model);
    using memory = await DeviceMemory.open({ type: "webgpu" });
    using sum = await memory.place("float32", Float32Array.of(1, 0, 0, 1), [2, 2]);
    const step = Value.wrap("float32", Float32Array.of(1, 0, 0, 1), [2, 2]);
    const determinant = Value.wrap("float32", new Float32Array(1), []);
    using binding = session.bind().input("a", sum).input("b", step).output("y", sum);
    binding.output("determinant", determinant);
    const seen: number[] = [];
    for (let run = 0; run < 3; run++) {
      await binding.run();
      seen.push(...determinant.data());
    }
    expect(seen).toEqual([1, 4, 9]);
  });

  test("is placed from an array, written and read, and bound to several sessions", async (context) => {
    using first = await loadOnGpu(context);
    using second = await loadOnGpu(context);
    using memory = await DeviceMemory.open({ type: "webgpu" });
    using sum = await memory.place("float32", Float32Array.of(1, 2, 3), [3]);
    expect(await sum.read()).toEqual(Float32Array.of(1, 2, 3));
    await sum.write(Float32Array.of(2, 3, 4));
    const step = Value.wrap("float32", Float32Array.of(1, 1, 1), [3]);
    for (const session of [first, second]) {
      using binding = session.bind().input("a", sum).input("b", step).output("y", sum);
      await binding.run();
    }
    expect(await sum.read()).toEqual(Float32Array.of(4, 5, 6));
  });

  test("host arrays that changed after binding are sent again", async (context) => {
    using session = await loadOnGpu(context);
    const a = Value.wrap("float32", Float32Array.of(1, 2), [2]);
    const y = Value.wrap("float32", new Float32Array(2), [2]);
    using binding = session.bind().input("a", a).input("b", a).output("y", y);
    await binding.run();
    expect(y.data()).toEqual(Float32Array.of(2, 4));
    a.data().set([10, 20]);
    await binding.run();
    expect(y.data()).toEqual(Float32Array.of(20, 40));
  });

  test("outlives its session, but is not read any more", async (context) => {
    const session = await loadOnGpu(context);
    const value = session.allocate("float32", [2]);
    session[Symbol.dispose]();
    await expect(value.read()).rejects.toThrow(/This session was disposed/);
    value[Symbol.dispose]();
    await expect(value.read()).rejects.toThrow(/This value was disposed/);
  });
});
