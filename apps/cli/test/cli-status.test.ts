/** `llava ps` and `llava doctor` as processes against real ones, and what all the programs write into their logs. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseWorkerList } from "@llava/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { png } from "@llava/testing/png";
import { Llava, llava } from "./llava.ts";
import { makeTinyFolder, TINY_NAME } from "./tiny-folder.ts";

const NO_PORTS = ["--port", "0", "--controller-port", "0", "--worker-port", "0"];

let tiny: Awaited<ReturnType<typeof makeTinyFolder>>;
let folder: string;
/** An address at which no program listens. */
let unused: string;
const started: Llava[] = [];
beforeAll(async () => {
  tiny = await makeTinyFolder();
  folder = await mkdtemp(join(tmpdir(), "llava-watch-"));
  await writeFile(join(folder, "index.html"), "<title>LLaVA</title>");
  await using server = createServer();
  unused = `http://127.0.0.1:${await portOf(server)}`;
});
afterEach(async () => {
  for (const { child, ended } of started.splice(0).toReversed()) {
    child.kill("SIGTERM");
    await ended;
  }
});
afterAll(async () => {
  await tiny.remove();
  await rm(folder, { recursive: true });
});

async function portOf(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

function start(...flags: string[]): Llava {
  const program = new Llava(...flags);
  started.push(program);
  return program;
}

async function startController(
  ...flags: string[]
): Promise<{ readonly program: Llava; readonly url: string }> {
  const program = start("controller", "--port", "0", "--log-level", "trace", ...flags);
  await vi.waitFor(() => expect(program.out).toContain('"msg":"ready"'));
  return { program, url: /"address":"(http[^"]+)"/.exec(program.out)?.[1] ?? "" };
}

async function startWorker(controllerUrl: string, ...flags: string[]): Promise<Llava> {
  const model = ["--model-path", tiny.folder, "--threads", "1"];
  const rest = ["--controller", controllerUrl, "--log-level", "trace", "--heartbeat-interval", "0.2"];
  const program = start("worker", "--port", "0", ...model, ...rest, ...flags);
  await vi.waitFor(() => expect(program.out).toContain("Registered with the controller"));
  return program;
}

describe("llava ps", () => {
  test("shows workers as a table and as JSON, and again and again until Ctrl-C", async () => {
    const { url } = await startController();
    const none = await llava("ps", "--controller", url);
    expect(none).toMatchObject({ code: 0, err: expect.stringContaining("llava worker") });
    await startWorker(url);
    const { code, out } = await llava("ps", "--controller", url);
    const [head, row, ...more] = out.trimEnd().split("\n");
    expect(code).toBe(0);
    expect(more).toEqual([]);
    expect(head).toMatch(/^WORKER +MODELS +STATE +QUEUE +RUNNING +TOK\/S +UPTIME +VERSION$/);
    expect(row).toMatch(
      new RegExp(
        `^http://127\\.0\\.0\\.1:\\d+ +${TINY_NAME} +ready +0 +0/5 +0\\.0 +[\\dms ]+ +\\d+\\.\\d+\\.\\d+$`,
      ),
    );
    const json = await llava("ps", "--controller", url, "--json");
    expect(parseWorkerList(JSON.parse(json.out)).data).toMatchObject([{ models: [TINY_NAME], running: 0 }]);
    const watching = start("ps", "--controller", url, "--json", "--watch", "0.1");
    await vi.waitFor(() => expect(watching.out.split("\n").length).toBeGreaterThan(3));
    watching.child.kill("SIGINT");
    expect((await watching.ended).code).toBe(0);
  });

  test("without a controller, or without the key that it wants, says what to do, exit 1", async () => {
    expect(await llava("ps", "--controller", unused)).toMatchObject({
      code: 1,
      out: "",
      err: expect.stringContaining("llava controller"),
    });
    const keys = join(folder, "keys.txt");
    const secret = (await llava("keys", "add", "anna", "--file", keys)).out;
    const admin = (await llava("keys", "add", "ben", "--admin", "--file", keys)).out;
    const { url } = await startController("--api-key-file", keys);
    const keyFile = join(folder, "key.txt");
    const asking = async (): Promise<unknown> =>
      llava("ps", "--controller", url, "--controller-key-file", keyFile);
    expect(await llava("ps", "--controller", url)).toMatchObject({
      code: 1,
      err: expect.stringContaining("--controller-key-file"),
    });
    await writeFile(keyFile, secret);
    expect(await asking()).toMatchObject({ code: 1, err: expect.stringContaining("admin") });
    await writeFile(keyFile, admin);
    expect(await asking()).toMatchObject({ code: 0, out: expect.stringContaining("WORKER") });
  });
});

describe("llava doctor", () => {
  const doctor = (...flags: string[]) => llava("doctor", ...NO_PORTS, "--model-path", tiny.folder, ...flags);

  test("finds nothing wrong where all is well, with a controller and its worker", async () => {
    const { url } = await startController();
    await startWorker(url);
    const { code, out, err } = await doctor("--controller", url);
    expect(out).not.toMatch(/^wrong/m);
    for (const subject of [
      "Node.js",
      "ONNX Runtime",
      "Images",
      "Model",
      "Memory",
      "Disk",
      "Page port",
      "Clock",
      "Controller",
      "Workers",
    ])
      expect(out).toMatch(new RegExp(`^ok +${subject}`, "m"));
    expect(out).toContain("1 of 1 are ready");
    expect(out).toContain("Nothing is wrong.");
    expect(err).toBe("");
    expect(code).toBe(0);
  });

  test("names what is wrong and what to do, exit 1", async () => {
    await using taken = createServer((socket) => socket.destroy());
    const port = await portOf(taken);
    const { url } = await startController();
    const flags = [
      "--port",
      String(port),
      "--model-path",
      folder,
      "--controller",
      url,
      "--device",
      "cuda:42",
    ];
    const { code, out } = await doctor(...flags);
    expect(out).toMatch(new RegExp(`^wrong +Page port +${port} is taken by another program.*--port`, "m"));
    expect(out).toMatch(/^wrong +Model .*config\.json/m);
    expect(out).toMatch(/^wrong +GPU .*cuda/m);
    expect(out).toMatch(/^wrong +Workers .*llava worker/m);
    expect(out).toContain("4 things are wrong.");
    expect(code).toBe(1);
  });

  test("a controller that was named and is not there is wrong; knows our own ports as ours", async () => {
    const { url } = await startController();
    const { code, out } = await doctor("--controller", unused, "--controller-port", new URL(url).port);
    expect(out).toMatch(/^wrong +Controller .*ECONNREFUSED/m);
    expect(out).toMatch(/^ok +Controller port +\d+ is in use, by LLaVA/m);
    expect(code).toBe(1);
  });
});

describe("one request through page, controller and worker", () => {
  const CANARY = "canary-5d1c7";

  test("has one id in all logs and answers, and its words and images are in no log", async () => {
    const { program: controller, url } = await startController();
    const worker = await startWorker(url);
    const conversations = join(folder, "conversations");
    const flags = ["--port", "0", "--controller", url, "--page-folder", folder, "--log-level", "trace"];
    const web = start("web", ...flags, "--conversation-log", conversations);
    await vi.waitFor(() => expect(web.out).toContain("http"));
    const page = /http\S+/.exec(web.out)?.[0] ?? "";
    const image = Buffer.concat([png(8, 8, [9, 8, 7]), Buffer.from(CANARY)]);
    const ask = async (model: string, stream: boolean, id: string): Promise<Response> =>
      await fetch(`${page}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-request-id": id },
        body: JSON.stringify({
          model,
          stream,
          max_tokens: 4,
          messages: [
            {
              role: "user",
              content: [
                {
                  type: "image_url",
                  image_url: { url: `data:image/png;base64,${image.toString("base64")}` },
                },
                { type: "text", text: `Say ${CANARY}.` },
              ],
            },
          ],
        }),
      });
    for (const stream of [true, false]) {
      const id = `order-${stream}`;
      const response = await ask(TINY_NAME, stream, id);
      expect(response.status).toBe(200);
      expect(response.headers.get("x-request-id")).toBe(id);
      await response.text();
      const line = new RegExp(`^.*"requestId":"${id}".*$`, "m");
      await vi.waitFor(() => expect(controller.out).toMatch(line));
      await vi.waitFor(() => expect(worker.out).toMatch(line));
    }
    const refused = await ask("no-such-model", true, "order-none");
    expect(refused.status).toBe(503);
    await vi.waitFor(() => expect(controller.out).toContain("order-none"));
    const output = [web, controller, worker].map(({ out, err }) => out + err).join("");
    expect(output).not.toContain(CANARY);
    expect(output).not.toContain(image.toString("base64").slice(0, 16));
    const [file = ""] = (await readdir(conversations)).filter((name) =>
      /^\d{4}-\d\d-\d\d-conv\.json$/.test(name),
    );
    const records = (await readFile(join(conversations, file), "utf8")).trimEnd().split("\n");
    expect(records).toHaveLength(2);
    expect(records[0]).toContain(`<image>\\nSay ${CANARY}.`);
  });
});
