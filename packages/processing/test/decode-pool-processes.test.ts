/** Images in other processes: the same numbers as here, and what happens when a process ends. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import sharp from "sharp";
import { afterEach, describe, expect, test, vi } from "vitest";
import { CLIP_MEAN, CLIP_STD } from "../src/image/preprocessor.ts";
import { decodeImage, pixelValues, planImage, type PixelDescription, DecodePool } from "../src/index.ts";

const DESCRIPTION: PixelDescription = {
  size: 336,
  shape: "pad",
  mean: CLIP_MEAN,
  std: CLIP_STD,
  rescale: 1 / 255,
};
const wide = golden("wide.png");
// A machine that does much else at the same time may need long for what takes half a second.
const PATIENT = { limits: { timeoutMs: 60_000, processorMs: 60_000 } };

let pool: DecodePool;
afterEach(() => pool[Symbol.dispose]());

function golden(name: string): Buffer {
  return readFileSync(new URL(`golden/${name}`, import.meta.url));
}

/** What the model sees of an image: its header read, then decoded by the plan. */
async function values(
  bytes: Uint8Array,
  description = DESCRIPTION,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const plan = planImage(await pool.header(bytes, signal), description, 576);
  return await pool.tiles(bytes, plan, description, signal);
}

/** A small file that takes long to decode: 39 million pixels. */
async function slowImage(): Promise<Buffer> {
  const solid = { create: { width: 10_000, height: 3900, channels: 3, background: "red" } } as const;
  return await sharp(solid).png().toBuffer();
}

/** Ids of the decoding processes of a process, read from Linux's /proc. */
function processes(parentPid = process.pid): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
        const isOurs = Number(parent) === parentPid;
        return isOurs && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("decode-process");
      } catch {
        return false;
      }
    })
    .map(Number);
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Ends the process that decodes `bytes` in the middle of it. Resolves with the request's error. */
async function endWhileDecoding(bytes: Buffer): Promise<unknown> {
  const ending = values(bytes).catch((error: unknown) => error);
  await vi.waitFor(() => expect(processes().some((pid) => isDecoding(pid))).toBe(true), { interval: 5 });
  for (const pid of processes()) process.kill(pid, "SIGKILL");
  return await ending;
}

/** Whether the process has the file and the pixels of a large image in memory. */
function isDecoding(pid: number): boolean {
  const kib = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) > 100_000;
}

describe("the same numbers as in this process", () => {
  test.each(["wide.png", "tall.png", "rgba.png", "rotated.png", "grayscale.png", "tiny.png"])(
    "%s",
    async (name) => {
      pool = new DecodePool(PATIENT);
      const bytes = golden(name);
      for (const shape of ["pad", "crop"] as const) {
        const here = await pixelValues(await decodeImage(bytes), { ...DESCRIPTION, shape });
        const there = await values(bytes, { ...DESCRIPTION, shape });
        expect(Buffer.from(there.buffer, there.byteOffset, there.byteLength)).toEqual(
          Buffer.from(here.buffer),
        );
      }
    },
  );
});

test.runIf(process.platform === "linux")(
  "refusals are the decoder's own, of most without a process",
  async () => {
    // Those of the tests before take a moment to end.
    await expect.poll(() => processes()).toEqual([]);
    pool = new DecodePool(PATIENT);
    const refused = async (bytes: Uint8Array): Promise<unknown> =>
      await values(bytes).catch((error: unknown) => error);
    expect(await refused(Buffer.from("GIF89a"))).toMatchObject({
      code: "invalid_image",
      message: expect.stringMatching(/is a GIF/),
    });
    expect(await refused(Buffer.alloc(11 << 20))).toMatchObject({
      code: "invalid_image",
      message: expect.stringMatching(/at most 10485760/),
    });
    expect(processes()).toEqual([]);
    expect(await refused(wide.subarray(0, 500))).toMatchObject({
      code: "invalid_image",
      message: expect.stringMatching(/damaged or cut off/),
    });
    expect(processes()).toHaveLength(1);
  },
);

describe.runIf(process.platform === "linux")("processes", () => {
  test("are no more than asked for, and are used again", async () => {
    pool = new DecodePool({ ...PATIENT, processes: 2 });
    await Promise.all(Array.from({ length: 5 }, async () => await values(wide)));
    const before = processes();
    expect(before).toHaveLength(2);
    await values(wide);
    expect(processes()).toEqual(before);
  });

  test("that ends costs one request; an image that ends two is not tried again", async () => {
    pool = new DecodePool({ ...PATIENT, processes: 1 });
    const bytes = await slowImage();
    expect(await endWhileDecoding(bytes)).toMatchObject({ code: "invalid_image" });
    await expect(values(wide)).resolves.toHaveLength(3 * 336 * 336);
    expect(await endWhileDecoding(bytes)).toMatchObject({ code: "invalid_image" });
    await expect(values(bytes)).rejects.toMatchObject({ code: "quarantined" });
    await expect(values(wide)).resolves.toHaveLength(3 * 336 * 336);
  });

  test.each([
    ["clock", { timeoutMs: 150 }],
    ["processor", { timeoutMs: 60_000, processorMs: 150 }],
  ])("that takes too long by the %s is ended, and its image may be tried again", async (_name, limits) => {
    pool = new DecodePool({ processes: 1, limits });
    const bytes = await slowImage();
    for (let round = 0; round < 3; round++) {
      await expect(values(bytes)).rejects.toMatchObject({
        code: "invalid_image",
        message: expect.stringMatching(/too long/),
      });
    }
  });

  test("whose request was cancelled is ended, and the next in line gets another", async () => {
    pool = new DecodePool({ ...PATIENT, processes: 1 });
    const client = new AbortController();
    const bytes = await slowImage();
    const cancelled = values(bytes, DESCRIPTION, client.signal).catch((error: unknown) => error);
    const next = values(wide);
    await vi.waitFor(() => expect(processes()).toHaveLength(1));
    const [pid = 0] = processes();
    client.abort();
    expect(await cancelled).toMatchObject({ code: "cancelled" });
    await expect(next).resolves.toHaveLength(3 * 336 * 336);
    expect(isRunning(pid)).toBe(false);
  });

  test("that gets no memory refuses the image, and no other", async () => {
    pool = new DecodePool({ ...PATIENT, processes: 1, memoryBytes: 850 << 20 });
    const large = {
      create: { width: 7000, height: 5600, channels: 4, background: { r: 1, g: 2, b: 3, alpha: 0.5 } },
    } as const;
    const bytes = await sharp(large).png().toBuffer();
    await expect(values(bytes)).rejects.toMatchObject({ code: "invalid_image" });
    await expect(values(wide)).resolves.toHaveLength(3 * 336 * 336);
    pool[Symbol.dispose]();
    pool = new DecodePool({ ...PATIENT, processes: 1 });
    await expect(values(bytes)).resolves.toHaveLength(3 * 336 * 336);
  });

  test("that cannot start do not count against the image", async () => {
    pool = new DecodePool({ ...PATIENT, memoryBytes: 1 << 20 });
    for (let round = 0; round < 3; round++)
      await expect(values(wide)).rejects.toMatchObject({ code: "runtime_failure" });
  });

  test("end with their pool, and with them what they did", async () => {
    pool = new DecodePool({ ...PATIENT, processes: 2 });
    await values(wide);
    const bytes = await slowImage();
    const working = values(bytes).catch((error: unknown) => error);
    const pids = processes();
    expect(pids).toHaveLength(1);
    pool[Symbol.dispose]();
    expect(await working).toMatchObject({ code: "cancelled" });
    await vi.waitFor(() => expect(pids.filter((pid) => isRunning(pid))).toEqual([]));
  });

  test("do not outlive the program that started them", async () => {
    pool = new DecodePool();
    const parent = spawn(process.execPath, [fileURLToPath(new URL("./orphan-parent.ts", import.meta.url))], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(parent.stdout, "data");
    const pids = processes(parent.pid);
    expect(pids).toHaveLength(1);
    parent.kill("SIGKILL");
    await once(parent, "exit");
    await vi.waitFor(() => expect(pids.filter((pid) => isRunning(pid))).toEqual([]));
  });

  test("do not keep the program running", async () => {
    pool = new DecodePool();
    const program = `
      import { readFileSync } from "node:fs";
      import { DecodePool } from ${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)};
      const file = readFileSync(${JSON.stringify(fileURLToPath(new URL("./golden/wide.png", import.meta.url)))});
      const { width } = await new DecodePool().header(file);
      console.log(width);`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);
    expect(stdout.trim()).toBe(String((await decodeImage(wide)).width));
  });
});
