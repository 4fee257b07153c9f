import type { ServerResponse } from "node:http";
import { encodeSseJson, errorBody, LlavaError, type ErrorCode } from "@llava/protocol";
import { afterEach, describe, expect, it } from "vitest";
import { numStreams } from "../support/chat-requests.ts";
import { resumeWorker, textOf } from "../support/resume-worker.ts";
import {
  closeAll,
  modelsOf,
  post,
  register as registerAny,
  respondJson,
  startController,
  startWorker,
  until,
  type Handler,
  type StandIn,
} from "../support/stand-in.ts";

afterEach(closeAll);

const LENGTH = 12;
const ASK = { model: "m", messages: [{ role: "user", content: "Say." }], stream: true, seed: 5 };
const WHOLE = textOf(ASK.seed, LENGTH);

/** The report of a worker that can go on with another one's answer. */
async function register(controllerUrl: string, workerUrl: string, queueLength = 0): Promise<void> {
  const report = { capabilities: { resume: true } };
  await registerAny(controllerUrl, workerUrl, ["m"], { queueLength, report });
}

interface SeenAnswer {
  readonly text: string;
  readonly comments: readonly string[];
  readonly errors: readonly unknown[];
  readonly numRoles: number;
  readonly numFinishes: number;
  readonly isDone: boolean;
  readonly ids: ReadonlySet<unknown>;
}

/** Everything that a client gets, as its bytes and what they mean. */
function readAnswer(stream: string): SeenAnswer {
  const blocks = stream.split("\n\n");
  expect(blocks.pop()).toBe("");
  const comments = blocks.filter((block) => block.startsWith(":"));
  const data = blocks.filter((block) => block.startsWith("data: ")).map((block) => block.slice(6));
  expect(comments.length + data.length).toBe(blocks.length);
  const chunks = data.filter((text) => text !== "[DONE]").map((text) => JSON.parse(text));
  const choices = chunks.flatMap((chunk) => chunk.choices ?? []);
  return {
    text: choices.map(({ delta }) => delta.content ?? "").join(""),
    comments,
    errors: chunks.flatMap(({ error }) => (error === undefined ? [] : [error])),
    numRoles: choices.filter(({ delta }) => delta.role !== undefined).length,
    numFinishes: choices.filter(({ finish_reason }) => finish_reason !== null).length,
    isDone: data.at(-1) === "[DONE]",
    ids: new Set(chunks.flatMap(({ id }) => (id === undefined ? [] : [id]))),
  };
}

async function ask(url: string, body: object = ASK): Promise<SeenAnswer> {
  const reply = await post(`${url}/v1/chat/completions`, body);
  expect(reply.status).toBe(200);
  return readAnswer(reply.text);
}

const UNBROKEN = { text: WHOLE, errors: [], numRoles: 1, numFinishes: 1, isDone: true };

/** Two workers, the first of which is asked first and for which `happens` is called before the token at a position. */
async function startPair(
  happens: (response: ServerResponse) => boolean | Promise<boolean>,
  position: number,
): Promise<{ readonly url: string; readonly first: StandIn; readonly second: StandIn }> {
  const isThere = (at: number, response: ServerResponse) => at !== position || happens(response);
  const first = await startWorker(["m"], resumeWorker({ step: isThere }));
  const second = await startWorker(["m"], resumeWorker());
  const { url } = await startController({ limits: { idleMs: 500 } });
  await register(url, first.url);
  await register(url, second.url, 5);
  return { url, first, second };
}

/** Writes these bytes, waits until they are sent, and ends the answer. */
function says(text: string): (response: ServerResponse) => boolean {
  return (response) => {
    response.end(text);
    return false;
  };
}

function errorEvent(code: ErrorCode): string {
  return encodeSseJson(errorBody(new LlavaError(code, "It was too much.")));
}

function breaks(response: ServerResponse): boolean {
  setTimeout(() => response.destroy(), 20);
  return false;
}

describe("an answer that breaks off", () => {
  it.each([0, 1, 5, LENGTH - 1, LENGTH])("after %i tokens goes on from another worker", async (position) => {
    const { url, second } = await startPair(breaks, position);
    const answer = await ask(url);
    expect(answer).toMatchObject({ ...UNBROKEN, comments: [": migrated"] });
    expect(answer.ids.size).toBe(1);
    expect(second.asked).toEqual(["/v1/chat/completions"]);
    await until(async () => (await numStreams(url)) === 0);
  });

  it("between its finish reason and its end repeats neither", async () => {
    const finish = '{"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}';
    const { url } = await startPair((response) => {
      response.write(`data: ${finish}\n\n`, () => setTimeout(() => response.destroy(), 20));
      return false;
    }, LENGTH);
    expect(await ask(url)).toMatchObject(UNBROKEN);
  });

  it("while its worker sends progress goes on from another one that sends its own", async () => {
    const line = ': progress {"kind":"queued","position":1,"length":1}';
    const { url } = await startPair((response) => {
      response.write(`${line}\n\n`, () => response.destroy());
      return false;
    }, 0);
    const answer = await ask(url);
    expect(answer).toMatchObject(UNBROKEN);
    expect(answer.comments).toContain(line);
  });

  it("in the middle of an event leaves no piece of it", async () => {
    const { url } = await startPair((response) => {
      response.write(': t 1\ndata: {"id":"chatcmpl-1","cho', () => setTimeout(() => response.destroy(), 20));
      return false;
    }, 3);
    expect(await ask(url)).toMatchObject(UNBROKEN);
  });

  it.each<ErrorCode>(["worker_lost", "shutting_down", "runtime_failure", "out_of_memory", "queue_timeout"])(
    "with the error %s goes on from another worker",
    async (code) => {
      const { url } = await startPair(says(errorEvent(code)), 4);
      expect(await ask(url)).toMatchObject({ ...UNBROKEN, comments: [": migrated"] });
    },
  );

  it.each<ErrorCode>(["invalid_image", "internal", "timeout"])("with the error %s stays so", async (code) => {
    const { url, second } = await startPair(says(errorEvent(code)), 4);
    expect(await ask(url)).toMatchObject({
      text: textOf(5, 4),
      errors: [{ code }],
      isDone: false,
    });
    expect(second.asked).toEqual([]);
  });

  it.each([
    ["an end without the last event", ""],
    ["HTML", "<html><body>Bad gateway</body></html>\n\n"],
    ["half of an object", 'data: {"id":\n\n'],
    ["an endless event", `data: "${"x".repeat((1 << 20) + 1)}`],
  ])("with %s goes on from another worker", async (_name, text) => {
    const { url } = await startPair(says(text), 4);
    expect(await ask(url)).toMatchObject({ ...UNBROKEN, comments: [": migrated"] });
  });

  it("in silence goes on from another worker", async () => {
    const { url, first } = await startPair(() => false, 4);
    expect(await ask(url)).toMatchObject({ ...UNBROKEN, comments: [": migrated"] });
    await until(async () => (await numOpen(first)) === 0);
  });

  it("may break off again, three times", async () => {
    const { url } = await startController();
    const breaking = (from: number): Handler =>
      resumeWorker({ step: (at, response) => at < from + 2 || breaks(response) });
    for (const from of [0, 2, 4]) {
      const worker = await startWorker(["m"], breaking(from));
      await register(url, worker.url, from);
    }
    const last = await startWorker(["m"], resumeWorker());
    await register(url, last.url, 9);
    const migrated = [": migrated", ": migrated", ": migrated"];
    expect(await ask(url)).toMatchObject({ ...UNBROKEN, comments: migrated });
  });

  it("a fourth time is an error", async () => {
    const { url } = await startController();
    for (const from of [0, 2, 4, 6, 20]) {
      const worker = await startWorker(
        ["m"],
        resumeWorker({ step: (at, response) => at < from + 2 || breaks(response) }),
      );
      await register(url, worker.url, from);
    }
    const errors = [{ code: "worker_lost" }];
    expect(await ask(url)).toMatchObject({ text: textOf(5, 8), errors, isDone: false });
  });

  it("goes on from a worker that keeps failing when there is no other", async () => {
    let isIll = true;
    const ill = await startWorker(["m"], (request, response) => {
      if (!isIll) return resumeWorker()(request, response);
      request.resume();
      return respondJson(response, 500, errorBody(new LlavaError("runtime_failure", "Ill.")));
    });
    const first = await startWorker(
      ["m"],
      resumeWorker({ step: (at, response) => at < 4 || breaks(response) }),
    );
    const { url } = await startController();
    await register(url, ill.url);
    for (let count = 0; count < 5; count += 1) await post(`${url}/v1/chat/completions`, ASK);
    isIll = false;
    await register(url, first.url);
    expect(await ask(url)).toMatchObject({ ...UNBROKEN, comments: [": migrated"] });
    expect(ill.asked).toHaveLength(6);
  });

  it("is one error event when no worker is left", async () => {
    const worker = await startWorker(
      ["m"],
      resumeWorker({ step: (at, response) => at < 4 || breaks(response) }),
    );
    const { url } = await startController();
    await register(url, worker.url);
    const errors = [{ code: "worker_lost" }];
    expect(await ask(url)).toMatchObject({
      text: textOf(5, 4),
      comments: [],
      errors,
      isDone: false,
    });
    expect(await modelsOf(url)).toEqual({ models: [] });
  });

  it("waits a little while the others are full", async () => {
    let numAsked = 0;
    const goOn = resumeWorker();
    const full: Handler = (request, response) => {
      numAsked += 1;
      if (numAsked > 2) return goOn(request, response);
      request.resume();
      return respondJson(response, 429, errorBody(new LlavaError("overloaded", "Full.")));
    };
    const first = await startWorker(
      ["m"],
      resumeWorker({ step: (at, response) => at < 4 || breaks(response) }),
    );
    const second = await startWorker(["m"], full);
    const { url } = await startController();
    await register(url, first.url);
    await register(url, second.url, 5);
    expect(await ask(url)).toMatchObject(UNBROKEN);
    expect(numAsked).toBe(3);
  });

  it("is an error event when the others stay full", async () => {
    const first = await startWorker(
      ["m"],
      resumeWorker({ step: (at, response) => at < 4 || breaks(response) }),
    );
    const second = await startWorker(["m"], (request, response) => {
      request.resume();
      respondJson(response, 429, errorBody(new LlavaError("overloaded", "Full.")));
    });
    const { url } = await startController();
    await register(url, first.url);
    await register(url, second.url, 5);
    expect(await ask(url)).toMatchObject({ text: textOf(5, 4), errors: [{ code: "worker_lost" }] });
  });

  it("does not go on from a server that cannot resume", async () => {
    const anew: Handler = (request, response) => {
      request.resume();
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end('data: {"choices":[{"index":0,"delta":{"content":"Anew"},"finish_reason":null}]}\n\n');
    };
    const first = await startWorker(
      ["m"],
      resumeWorker({ step: (at, response) => at < 4 || breaks(response) }),
    );
    const second = await startWorker(["m"], anew);
    const { url } = await startController();
    await register(url, first.url);
    await register(url, second.url, 5);
    expect(await ask(url)).toMatchObject({ text: textOf(5, 4), errors: [{ code: "worker_lost" }] });
  });

  it("sends the image again, and only the field more", async () => {
    const bodies: string[] = [];
    const keeping =
      (handler: Handler): Handler =>
      (request, response) => {
        const chunks: Buffer[] = [];
        request.on("data", (chunk: Buffer) => chunks.push(chunk));
        request.on("end", () => bodies.push(Buffer.concat(chunks).toString()));
        handler(request, response);
      };
    const first = await startWorker(
      ["m"],
      keeping(resumeWorker({ step: (at, response) => at < 1 || breaks(response) })),
    );
    const second = await startWorker(["m"], keeping(resumeWorker()));
    const { url } = await startController();
    await register(url, first.url);
    await register(url, second.url, 5);
    const body = `{ "image": "${"x".repeat(2 << 20)}", "model":"m","stream" :true, "seed":5 } `;
    expect(readAnswer((await post(`${url}/v1/chat/completions`, body)).text)).toMatchObject(UNBROKEN);
    const end = / \} $/;
    expect(bodies[0]).toBe(body);
    expect(bodies[1]?.startsWith(body.replace(end, ' ,"llava_resume":{"id":"chatcmpl-1",'))).toBe(true);
  });
});

describe("the lines between controller and worker", () => {
  it("are asked for in streams only, and never seen", async () => {
    const asked: unknown[] = [];
    const worker = await startWorker(["m"], (request, response) => {
      asked.push(request.headers["x-llava-resume"]);
      resumeWorker()(request, response);
    });
    const { url } = await startController();
    await register(url, worker.url);
    expect(await ask(url)).toMatchObject({ ...UNBROKEN, comments: [] });
    await post(`${url}/v1/chat/completions`, { ...ASK, stream: false }, { "x-llava-resume": "1" });
    expect(asked).toEqual(["1", undefined]);
  });

  it("are refused from clients", async () => {
    const { url } = await startController();
    const reply = await post(`${url}/v1/chat/completions`, {
      ...ASK,
      llava_resume: { tokens: [1] },
    });
    expect(reply.status).toBe(400);
    expect(JSON.parse(reply.text)).toMatchObject({ error: { param: "llava_resume" } });
  });
});

async function numOpen({ server }: StandIn): Promise<number> {
  return new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
  );
}
