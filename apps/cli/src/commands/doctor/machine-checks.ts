/** Checks this machine for `llava doctor`: Node, native libraries, the model, disk, memory and ports. */
import { readdir, stat, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { availableParallelism, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { LlavaError, toLlavaError } from "@llava/protocol";
import { findingOf, note, ok, wrong, type Finding } from "./finding.ts";
import type { DoctorFlags } from "../../options/command-options.ts";

/** The first version with `using` declarations, which the sources use. */
const LEAST_NODE = 24;
const LEAST_FREE_BYTES = 512 << 20;
const LOOK_MS = 1_000;
/** A white PNG. */
const ONE_PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC";

export function checkNode(version: string = process.versions.node): Finding {
  const major = Number(version.split(".")[0]);
  if (major >= LEAST_NODE) return ok("Node.js", version);
  return wrong(
    "Node.js",
    `${version} is too old; at least ${LEAST_NODE} is needed. Install it from https://nodejs.org, or start with "npx node".`,
  );
}

export async function checkRuntime(): Promise<Finding> {
  return await findingOf("ONNX Runtime", async () => {
    const { requireDevice } = await import("@llava/runtime");
    requireDevice("cpu");
    return `its library loads on ${process.platform} ${process.arch}`;
  });
}

/** @param device the one that must be there; without it a GPU is only looked for */
export async function checkGpu(device: string | undefined): Promise<Finding> {
  const wanted = device ?? "cuda";
  if (wanted === "cpu") return ok("GPU", "not asked for");
  const look = async (): Promise<string> => {
    const { requireDevice } = await import("@llava/runtime");
    requireDevice(wanted);
    return `${wanted} can be used`;
  };
  const unused = (subject: string): Finding =>
    note(subject, "none is used, which small models can do without; --device cuda says what is missing");
  return await findingOf("GPU", look, device === undefined ? unused : wrong);
}

export async function checkImages(): Promise<Finding> {
  return await findingOf("Images (sharp)", async () => {
    const { decodeImage } = await import("@llava/processing");
    const { width, height } = await decodeImage(Buffer.from(ONE_PIXEL, "base64"));
    return `a ${width} × ${height} image was decoded`;
  });
}

type MemoryFlags = Pick<DoctorFlags, "device" | "dtype" | "computeType" | "quantizeVision">;

export async function checkModel(folder: string): Promise<Finding> {
  return await findingOf("Model", async () => {
    const [{ openModelFolder }, { Checkpoint }] = await Promise.all([
      import("@llava/models"),
      import("@llava/checkpoint"),
    ]);
    const { description, weights } = await openModelFolder(folder);
    await Checkpoint.compose(weights);
    return `${description.name} is complete (${sizeOf(await weightBytes(folder))} of weights)`;
  });
}

/**
 * Asks the engine for the estimate by which it refuses to load. On another device than the CPU the weights lie in memory of
 * its own. @param available bytes; default: what this process may still take
 */
export async function checkMemory(
  folder: string,
  { device = "cpu", dtype, computeType = "float32", quantizeVision = false }: MemoryFlags,
  available?: number,
): Promise<Finding> {
  const unasked = ok("Memory", memoryOf(available ?? process.availableMemory()));
  if (device !== "cpu") return unasked;
  try {
    const { requireModelMemory } = await import("@llava/engine");
    const needs = { dtype, computeType, quantizesVision: quantizeVision };
    const { estimate, available: free } = await requireModelMemory(folder, needs, available);
    return ok("Memory", `${memoryOf(free)}; this model needs about ${sizeOf(estimate.total)} as ${dtype}`);
  } catch (thrown) {
    const error = toLlavaError(thrown);
    // Why a folder cannot be loaded is reported by the check of the model.
    return error.code === "out_of_memory" ? wrong("Memory", error.message) : unasked;
  }
}

function memoryOf(freeBytes: number): string {
  return `${sizeOf(freeBytes)} of ${sizeOf(totalmem())} free, ${availableParallelism()} cores`;
}

export async function checkDisk(): Promise<Finding> {
  const folder = tmpdir();
  return await findingOf("Disk", async () => {
    const { bavail, bsize } = await statfs(folder);
    const free = `${sizeOf(bavail * bsize)} free in ${folder}`;
    if (bavail * bsize >= LEAST_FREE_BYTES) return free;
    throw new LlavaError("runtime_failure", `Only ${free}. Logs and temporary files will fail; make room.`);
  });
}

/** Finds each port free or in use by LLaVA, both of which are ok. */
export async function checkPorts(flags: DoctorFlags): Promise<readonly Finding[]> {
  const wanted = [
    { subject: "Page port", port: flags.port, flag: "--port" },
    { subject: "Controller port", port: flags.controllerPort, flag: "--controller-port" },
    { subject: "Worker port", port: flags.workerPort, flag: "--worker-port" },
  ];
  return await Promise.all(wanted.map(({ subject, port, flag }) => checkPort(subject, port, flag)));
}

async function checkPort(subject: string, port: number, flag: string): Promise<Finding> {
  const reason = await failureToListen(port);
  if (reason === null) return ok(subject, port === 0 ? "any" : `${port} is free`);
  if (reason === "EACCES")
    return wrong(
      subject,
      `${port} is reserved by the system. Choose one above 1023 with "llava serve ${flag}".`,
    );
  if (reason !== "EADDRINUSE") return wrong(subject, `${port} cannot be listened on (${reason}).`);
  if (await isOurs(port)) return ok(subject, `${port} is in use, by LLaVA`);
  return wrong(
    subject,
    `${port} is taken by another program. End it, or choose another port with "llava serve ${flag}".`,
  );
}

function failureToListen(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: "127.0.0.1", port }, () => server.close(() => resolve(null)));
  });
}

/** LLaVA's servers answer `/health` with an object with a status, and each response has an id. */
async function isOurs(port: number): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(LOOK_MS);
    const response = await fetch(`http://127.0.0.1:${port}/health`, { signal, redirect: "error" });
    const body: unknown = await response.json();
    const hasStatus = typeof body === "object" && body !== null && "status" in body;
    return hasStatus && response.headers.has("x-request-id");
  } catch {
    return false;
  }
}

async function weightBytes(folder: string): Promise<number> {
  try {
    const files = (await readdir(folder)).filter((name) => name.endsWith(".safetensors"));
    const sizes = await Promise.all(files.map(async (name) => (await stat(join(folder, name))).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  } catch {
    // The model's own check reports why.
    return 0;
  }
}

/** In the units of the engine's own sentences. */
function sizeOf(bytes: number): string {
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
