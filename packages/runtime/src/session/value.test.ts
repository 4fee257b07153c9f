import { describe, expect, test } from "vitest";
import { DeviceMemory } from "./device-memory.ts";
import { identityModel } from "../device/identity-model.ts";
import { Session } from "./inference-session.ts";
import { Value } from "./value.ts";

describe("wrap", () => {
  test("does not copy", async () => {
    const data = Float32Array.of(1, 2, 3, 4, 5, 6);
    using value = Value.wrap("float32", data, [2, 3]);
    expect(value.data()).toBe(data);
    expect(value.shape).toEqual([2, 3]);
    expect(value.device).toEqual({ type: "cpu" });
    using session = await Session.load(identityModel("float32"));
    using binding = session.bind().input("x", value).outputToCpu("y");
    data[0] = 9;
    binding.runSync();
    expect(binding.result("y").data()).toEqual(Float32Array.of(9, 2, 3, 4, 5, 6));
  });

  test("refuses a shape that does not fit, and another array than the element type's", () => {
    expect(() => Value.wrap("float32", new Float32Array(5), [2, 3])).toThrow(
      /shape \[2, 3\] needs a Float32Array of 6 elements, not Float32Array of 5/,
    );
    expect(() => Value.wrap("float32", new Float32Array(1), [-1])).toThrow(/\[-1\] is not a shape/);
    expect(() => Value.wrap("float32", new Float32Array(1), [0.5, 2])).toThrow(/not a shape/);
    expect(() => Value.wrap("float32", new Float32Array(1), [2 ** 40, 2 ** 40])).toThrow(/not a shape/);
    // @ts-expect-error the types refuse it as well
    expect(() => Value.wrap("int64", new Float32Array(1), [1])).toThrow(/needs a BigInt64Array/);
  });
});

test("zeros are of the element type's array, one for each element of the shape", () => {
  using value = Value.zeros("float16", [2, 3]);
  expect(value.shape).toEqual([2, 3]);
  expect(value.data()).toEqual(new Uint16Array(6));
});

describe("view", () => {
  test("shares memory, at any element offset", async () => {
    using session = await Session.load(identityModel("float32"));
    using parent = session.allocate("float32", [2, 4]);
    expect(parent.data()).toEqual(new Float32Array(8));
    using part = parent.view(3, [2, 2]);
    using partOfPart = part.view(1, [2]);
    const source = Value.wrap("float32", Float32Array.of(1, 2, 3, 4), [2, 2]);
    session.bind().input("x", source).output("y", part).runSync();
    expect(parent.data()).toEqual(Float32Array.of(0, 0, 0, 1, 2, 3, 4, 0));
    expect(partOfPart.data()).toEqual(Float32Array.of(2, 3));
  });

  test("outlives the value it was taken from", async () => {
    using session = await Session.load(identityModel("int32"));
    const source = Value.wrap("int32", Int32Array.of(1, 2, 3, 4), [4]);
    const { y } = await session.run({ x: source }, ["y"]);
    if (y === undefined) throw new Error("no result");
    const part = y.view(1, [2]);
    y[Symbol.dispose]();
    const data = part.data();
    expect(data).toEqual(Int32Array.of(2, 3));
    part[Symbol.dispose]();
    expect(data.length).toBe(0);
  });

  test("refuses to leave the value", () => {
    using value = Value.wrap("uint8", new Uint8Array(10), [10]);
    expect(() => value.view(8, [3])).toThrow(/at element 8 ends at 11, but the value has 10/);
    expect(() => value.view(-1, [3])).toThrow(/at element -1/);
    expect(() => value.view(0.5, [3])).toThrow(/at element 0.5/);
    expect(value.view(10, [0]).data().length).toBe(0);
  });
});

describe("reading", () => {
  test.for(["float32", "float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool"] as const)(
    "%s goes through the copying model unchanged",
    async (dtype) => {
      using session = await Session.load(identityModel(dtype), { optimization: "none" });
      using source = session.allocate(dtype, [3]);
      new Uint8Array(source.data().buffer).fill(1);
      const { y } = await session.run({ x: source }, ["y"]);
      expect(y?.dtype).toBe(dtype);
      expect(await y?.read()).toEqual(source.data());
    },
  );

  test("read() is a copy that outlives the value", async () => {
    const value = Value.wrap("int8", Int8Array.of(1, 2, 3), [3]);
    const copy = await value.view(1, [2]).read();
    value.data().fill(0);
    value[Symbol.dispose]();
    expect(copy).toEqual(Int8Array.of(2, 3));
  });
});

describe("writing", () => {
  test("write() goes into the elements that a run reads", async () => {
    using session = await Session.load(identityModel("float32"));
    using value = Value.wrap("float32", new Float32Array(2), [2]);
    using binding = session.bind().input("x", value).outputToCpu("y");
    await value.write(Float32Array.of(3, 4));
    binding.runSync();
    expect(binding.result("y").data()).toEqual(Float32Array.of(3, 4));
  });

  test("write() refuses another number of elements and another array", async () => {
    using value = Value.wrap("float32", new Float32Array(2), [2]);
    await expect(value.write(new Float32Array(3))).rejects.toThrow(/shape \[2\] needs a Float32Array of 2/);
    // @ts-expect-error the types refuse it as well
    await expect(value.write(new Uint16Array(2))).rejects.toThrow(/needs a Float32Array/);
  });

  test("host memory places a value over the array itself", async () => {
    const memory = await DeviceMemory.open({ type: "cpu" });
    expect(memory).toBe(DeviceMemory.host);
    const data = Float32Array.of(1, 2);
    expect((await memory.place("float32", data, [2])).data()).toBe(data);
  });
});

test("disposed twice is once, and use afterwards is an error", async () => {
  const value = Value.wrap("int8", new Int8Array(1), [1]);
  value[Symbol.dispose]();
  value[Symbol.dispose]();
  expect(() => value.data()).toThrow(/This value was disposed/);
  expect(() => value.view(0, [1])).toThrow(/This value was disposed/);
  await expect(value.read()).rejects.toThrow(/This value was disposed/);
});
