/** Starts a controller and workers behind proxies, so that each of them and each connection can fail and recover alone. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { startProgram, type Program, type ProgramKind } from "./server-program.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

/** The model that answers: it is small, and in every checkout. */
export const MODEL = "llava-demo";
const MODEL_FOLDER = fileURLToPath(new URL(`../../../packages/demo/model/${MODEL}`, import.meta.url));

/** The workers' heartbeat, short, so that a worker can end and come back many times in a run of minutes. */
export const HEARTBEAT_MS = 1_000;
/** The silence after which the controller drops a worker. */
export const EXPIRY_MS = 4_000;
/** The answers that run on one worker at the same time. */
export const CONCURRENCY = 3;
const DRAIN_S = 3;

/** A server whose address stays the same for all its processes. */
export interface ProxiedServer {
  /** The proxy in front of it, in which connections fail. */
  readonly proxy: TcpProxy;
  /** The server's own address, behind the proxy. */
  readonly address: string;
  /** The process; the last one when none runs now. */
  program: Program;
  readonly start: () => Promise<Program>;
}

export interface Fleet extends AsyncDisposable {
  readonly controller: ProxiedServer;
  readonly workers: readonly ProxiedServer[];
  /** The proxy between the workers and the controller, for their reports. */
  readonly back: TcpProxy;
  /** The API key of the controller and the workers. */
  readonly key: string;
  /** Every process that was ever started. */
  readonly programs: readonly Program[];
}

/**
 * @param secrets texts that no log may have in it, besides the key and the token
 * @param env environment variables of all its processes, besides those of this one
 */
export async function startFleet(
  numWorkers: number,
  seed: number,
  secrets: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Fleet> {
  const folder = await mkdtemp(join(tmpdir(), "llava-fleet-"));
  const key = `llava-${randomBytes(16).toString("hex")}`;
  const token = randomBytes(32).toString("hex");
  const keyFile = join(folder, "keys.txt");
  const digest = createHash("sha256").update(key).digest("hex");
  await writeFile(keyFile, `soak ${digest} admin unlimited\n`, { mode: 0o600 });
  const programs: Program[] = [];
  const options = { env: { ...env, LLAVA_CLUSTER_TOKEN: token }, secrets: [...secrets, key, token] };
  const launch = async (kind: ProgramKind, port: number, flags: readonly string[]): Promise<Program> => {
    const own = ["--port", String(port), "--api-key-file", keyFile];
    const program = await startProgram(kind, [...own, ...flags], options);
    programs.push(program);
    return program;
  };
  const proxies = await Promise.all(
    Array.from({ length: numWorkers + 2 }, (_, index) => startTcpProxy(null, seed + index)),
  );
  const [front, back, ...links] = proxies;
  if (front === undefined || back === undefined) throw new Error("there are no proxies");
  const times = ["--heartbeat-expiry", String(EXPIRY_MS / 1000), "--drain-timeout", String(DRAIN_S)];
  const controller = await serverBehind(front, (port) => launch("controller", port, times));
  back.aim(controller.address);
  const workers = await Promise.all(
    links.map((link) => serverBehind(link, (port) => launch("worker", port, workerFlags(link, back)))),
  );
  // Waits, as a worker listens before its model is loaded.
  while (!(await areListed(controller, numWorkers))) await sleep(100);
  return {
    controller,
    workers,
    back,
    key,
    programs,
    async [Symbol.asyncDispose]() {
      for (const { child } of programs) child.kill("SIGKILL");
      await Promise.all(programs.map(({ ended }) => ended));
      for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

function workerFlags(link: TcpProxy, back: TcpProxy): readonly string[] {
  const flags = {
    "--worker-address": link.url,
    "--controller-address": back.url,
    "--model-path": MODEL_FOLDER,
    "--model-name": MODEL,
    "--heartbeat-interval": HEARTBEAT_MS / 1000,
    "--limit-model-concurrency": CONCURRENCY,
    "--drain-timeout": DRAIN_S,
    "--threads": 1,
  };
  return Object.entries(flags).flatMap(([name, value]) => [name, String(value)]);
}

async function serverBehind(
  proxy: TcpProxy,
  launch: (port: number) => Promise<Program>,
): Promise<ProxiedServer> {
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  proxy.aim(address);
  const start = (): Promise<Program> => launch(port);
  return { proxy, address, program: await start(), start };
}

const healthSchema = z.object({ workers: z.number(), models: z.array(z.string()) });

async function areListed({ address }: ProxiedServer, numWorkers: number): Promise<boolean> {
  const response = await fetch(`${address}/health`);
  const { workers, models } = healthSchema.parse(await response.json());
  return workers === numWorkers && models.includes(MODEL);
}

/** A port that was free a moment ago, for all processes of one server. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  server.close();
  if (bound === null || typeof bound === "string") throw new Error("there is no free port");
  return bound.port;
}
