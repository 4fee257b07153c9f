import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { deviceName, parseDevice } from "./device.ts";
import { countCpuList, defaultThreads } from "../native/environment.ts";
import { identityModel } from "./identity-model.ts";
import { libraryPath } from "../native/library.ts";
import { Session } from "../session/inference-session.ts";

describe("names", () => {
  test.for([
    ["cpu", { type: "cpu" }],
    ["webgpu", { type: "webgpu" }],
    ["cuda", { type: "cuda", id: 0 }],
    ["cuda:1", { type: "cuda", id: 1 }],
  ] as const)("%s", ([text, device]) => {
    expect(parseDevice(text)).toEqual(device);
    expect(parseDevice(deviceName(device))).toEqual(device);
  });

  test.for(["", "gpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:99999", "cpu "])(
    '"%s" is refused',
    (text) => {
      expect(() => parseDevice(text)).toThrow(/is not a device: use "cpu", "cuda", "cuda:1".*or "webgpu"/);
    },
  );
});

const hasCuda = existsSync(join(dirname(libraryPath()), "libonnxruntime_providers_cuda.so"));

test.skipIf(hasCuda)("a CUDA provider that is missing: what to get and where to put it", async () => {
  const loading = Session.load(identityModel("float32"), { device: parseDevice("cuda:1") });
  await expect(loading).rejects.toMatchObject({
    name: "RuntimeError",
    code: "no_provider",
    message: expect.stringMatching(
      /device cuda:1 .*providers_cuda.*providers_shared.*NuGet.*1\.30\.0.*beside/,
    ),
  });
  await expect(loading).rejects.toThrow(libraryPath());
});

describe("library", () => {
  test.for([
    ["linux", "x64"],
    ["linux", "arm64"],
    ["darwin", "arm64"],
    ["win32", "x64"],
  ] as const)("%s %s", ([platform, arch]) => {
    expect(existsSync(libraryPath(platform, arch))).toBe(true);
  });

  test("a platform without a library gets a sentence", () => {
    expect(() => libraryPath("darwin", "x64")).toThrow(
      /not available for darwin x64: this program runs on Linux/,
    );
    expect(() => libraryPath("constructor", "")).toThrow(/not available/);
  });
});

test("threads", () => {
  expect(defaultThreads()).toBeGreaterThanOrEqual(1);
  expect(countCpuList("0\n")).toBe(1);
  expect(countCpuList("0-1\n")).toBe(2);
  expect(countCpuList("3,35")).toBe(2);
  expect(countCpuList("0-1,8-9")).toBe(4);
});
