import { request as httpRequest } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { ASK, eventsOf, numStreams, streaming, WHOLE, WORD } from "./support/chat-requests.ts";
import {
  closeAll,
  deadAddress,
  modelsOf,
  post,
  register,
  respondJson,
  startController,
  startWorker,
  until,
  type Handler,
} from "./support/stand-in.ts";

afterEach(closeAll);

/** A handler of a worker that is full. */
const refusing: Handler = (_request, response) => {
  response.writeHead(429, { "content-type": "application/json", "retry-after": "2" }).end('{"full":true}');
};

function sized(mebibytes: number): string {
  return JSON.stringify({ image: "x".repeat(mebibytes << 20), model: "m" });
}

describe("a chat answer", () => {
  it("comes through byte for byte with its status and headers", async () => {
    const worker = await startWorker(["m"], streaming(WHOLE));
    const { url } = await startController();
    await register(url, worker.url, ["m"]);
    const reply = await post(`${url}/v1/chat/completions`, ASK, { "x-request-id": "id_7" });
    expect(reply).toMatchObject({ status: 200, text: WHOLE });
    expect(reply.headers.get("content-type")).toBe("text/event-stream");
    expect(reply.headers.get("x-request-id")).toBe("id_7");
  });

  it("may be an error of the worker", async () => {
    const error = {
      error: { message: "Two images, one <image>.", code: "image_count_mismatch" },
    };
    const worker = await startWorker(["m"], (_request, response) => respondJson(response, 400, error));
    const { url } = await startController();
    await register(url, worker.url, ["m"]);
    const reply = await post(`${url}/v1/chat/completions`, ASK);
    expect(reply).toMatchObject({ status: 400, text: JSON.stringify(error) });
  });

  it("may follow a body of 10 MiB, but not one of 33", async () => {
    const worker = await startWorker(["m"], (request, response) => {
      let received = 0;
      request.on("data", (chunk: Buffer) => (received += chunk.length));
      request.on("end", () => respondJson(response, 200, { received }));
    });
    const { url } = await startController();
    await register(url, worker.url, ["m"]);
    const taken = await post(`${url}/v1/chat/completions`, sized(10));
    expect(taken).toMatchObject({ status: 200, text: `{"received":${sized(10).length}}` });
    const refused = await post(`${url}/v1/chat/completions`, sized(33));
    expect(refused.status).toBe(413);
    expect(JSON.parse(refused.text)).toMatchObject({ error: { code: "request_too_large" } });
  });

  it("has progress comments when the client asks for them", async () => {
    const asked: unknown[] = [];
    const worker = await startWorker(["m"], (request, response) => {
      asked.push(request.headers["x-llava-progress"]);
      respondJson(response, 200, {});
    });
    const { url } = await startController();
    await register(url, worker.url, ["m"]);
    const headersSent = [{ "x-llava-progress": "1" }, { "x-llava-progress": "yes\tno" }, {}];
    for (const headers of headersSent) await post(`${url}/v1/chat/completions`, { model: "m" }, headers);
    expect(asked).toEqual(["1", undefined, undefined]);
  });

  it("passes the request's id on, or makes one", async () => {
    const ids: unknown[] = [];
    const worker = await startWorker(["m"], (request, response) => {
      ids.push(request.headers["x-request-id"]);
      respondJson(response, 200, {});
    });
    const { url } = await startController();
    await register(url, worker.url, ["m"]);
    await post(`${url}/v1/chat/completions`, ASK, { "x-request-id": "good" });
    await post(`${url}/v1/chat/completions`, ASK, { "x-request-id": "bad id" });
    expect(ids).toEqual(["good", expect.stringMatching(/^[0-9a-f]{24}$/)]);
  });

  it("comes from another worker when the first is not there", async () => {
    const worker = await startWorker(["m"], streaming(WHOLE));
    const { url } = await startController();
    await register(url, await deadAddress(), ["m"]);
    await register(url, worker.url, ["m", "also"], { queueLength: 5 });
    expect((await eventsOf(url)).at(-1)).toMatchObject({ type: "finished", reason: "stop" });
    expect(await modelsOf(url)).toEqual({ models: ["m", "also"] });
  });

  it("comes from another worker when the first is lost before its first byte", async () => {
    const lost = await startWorker(["m", "lost"], (request) => request.socket.destroy());
    const headOnly = await startWorker(["m", "head"], (_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
      setTimeout(() => response.destroy(), 20);
    });
    const worker = await startWorker(["m"], streaming(WHOLE));
    const { url } = await startController();
    await register(url, lost.url, ["m", "lost"]);
    await register(url, headOnly.url, ["m", "head"]);
    await register(url, worker.url, ["m"], { queueLength: 5 });
    expect((await post(`${url}/v1/chat/completions`, ASK)).text).toBe(WHOLE);
    expect(await modelsOf(url)).toEqual({ models: ["m"] });
  });

  it("comes from another worker when the first is full, which stays in the table", async () => {
    const full = await startWorker(["m", "full"], (_request, response) => respondJson(response, 429, {}));
    const worker = await startWorker(["m"], streaming(WHOLE));
    const { url } = await startController();
    await register(url, full.url, ["m", "full"]);
    await register(url, worker.url, ["m"], { queueLength: 5 });
    expect((await post(`${url}/v1/chat/completions`, ASK)).text).toBe(WHOLE);
    expect(await modelsOf(url)).toEqual({ models: ["m", "full"] });
  });

  it("is the last refusal when all workers are full", async () => {
    const { url } = await startController();
    for (const worker of [await startWorker(["m"], refusing), await startWorker(["m"], refusing)]) {
      await register(url, worker.url, ["m"]);
    }
    const reply = await post(`${url}/v1/chat/completions`, ASK);
    expect(reply).toMatchObject({ status: 429, text: '{"full":true}' });
    expect(reply.headers.get("retry-after")).toBe("2");
  });
});

describe("without a worker", () => {
  it("names the model and what there is", async () => {
    const { url } = await startController();
    const none = await post(`${url}/v1/chat/completions`, ASK);
    expect(none.status).toBe(503);
    expect(none.headers.get("retry-after")).toBe("1");
    expect(JSON.parse(none.text)).toMatchObject({
      error: { code: "no_worker", type: "server_error" },
    });
    expect(none.text).toContain('No worker is there for the model \\"m\\"');
    await register(url, "http://127.0.0.1:1", ["a", "b"]);
    const other = await post(`${url}/v1/chat/completions`, ASK);
    expect(other.text).toContain('No worker serves the model \\"m\\" now; there are: a, b.');
  });

  it("is worker_lost when the last one is not there", async () => {
    const { url } = await startController();
    await register(url, await deadAddress(), ["m"]);
    const reply = await post(`${url}/v1/chat/completions`, ASK);
    expect(reply.status).toBe(502);
    expect(reply.text).toContain("could not be reached; ask again");
  });
});

describe("a worker lost midway", () => {
  it("is an error event after the text, and leaves the table", async () => {
    const half = WORD.slice(0, 30);
    const worker = await startWorker(
      ["m"],
      streaming(WORD + half, (response) => setTimeout(() => response.destroy(), 20)),
    );
    const { url } = await startController();
    await register(url, worker.url, ["m"]);
    expect(await eventsOf(url)).toMatchObject([
      { type: "text-delta", text: "red" },
      { type: "error", error: { code: "worker_lost" } },
    ]);
    expect(await modelsOf(url)).toEqual({ models: [] });
  });

  it("stays when it has no heartbeats but still answers", async () => {
    const worker = await startWorker(
      ["m"],
      streaming(WORD, (response) => setTimeout(() => response.destroy(), 20)),
    );
    const { url } = await startController();
    await register(url, worker.url, ["m"], { checkHeartBeat: false });
    await eventsOf(url);
    await until(() => worker.asked.includes("/worker_get_status"));
    expect(await modelsOf(url)).toEqual({ models: ["m"] });
  });

  it("is no loss when the body is no stream: another one is asked", async () => {
    const lost = await startWorker(["m"], (_request, response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
      response.write('{"id":', () => setTimeout(() => response.destroy(), 20));
    });
    const worker = await startWorker(["m"], (_request, response) => respondJson(response, 200, { id: 1 }));
    const { url } = await startController();
    await register(url, lost.url, ["m"]);
    expect(await post(`${url}/v1/chat/completions`, ASK)).toMatchObject({ status: 502 });
    await register(url, lost.url, ["m"]);
    await register(url, worker.url, ["m"], { queueLength: 5 });
    expect(await post(`${url}/v1/chat/completions`, ASK)).toMatchObject({
      status: 200,
      text: '{"id":1}',
    });
    expect(lost.asked.filter((path) => path !== "/worker_get_status")).toHaveLength(2);
  });

  it("closes the connection of a body that is no stream and too large to be held", async () => {
    const worker = await startWorker(["m"], (_request, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.write("x".repeat(2 << 20), () => setTimeout(() => response.destroy(), 20));
    });
    const { url } = await startController();
    await register(url, worker.url, ["m"]);
    await expect(post(`${url}/v1/chat/completions`, ASK)).rejects.toThrow();
  });

  it("may be one that never ends a frame", async () => {
    const worker = await startWorker(
      ["m"],
      streaming(`${WORD}data: ${"x".repeat((1 << 20) + 1)}`, () => undefined),
    );
    const { url } = await startController();
    await register(url, worker.url, ["m"]);
    expect((await eventsOf(url)).at(-1)).toMatchObject({
      type: "error",
      error: { code: "worker_lost" },
    });
  });
});

describe("a client that leaves", () => {
  it("ends the worker's request, midway and before the first byte, and frees its slot", async () => {
    let numClosed = 0;
    let numAsked = 0;
    const worker = await startWorker(["m"], (request, response) => {
      numAsked += 1;
      request.resume();
      response.on("close", () => (numClosed += 1));
      if (numAsked === 1) streaming(WORD, () => undefined)(request, response);
    });
    const { url } = await startController();
    await register(url, worker.url, ["m"]);
    for (const turn of [1, 2]) {
      const leave = new AbortController();
      const answer = fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(ASK),
        signal: leave.signal,
      }).catch(() => null);
      await (turn === 1 ? answer : until(() => numAsked === 2));
      leave.abort();
      await until(() => numClosed === turn);
    }
    await until(async () => (await numStreams(url)) === 0);
    expect(await modelsOf(url)).toEqual({ models: ["m"] });
  });

  it("holds the worker back when it reads slowly", async () => {
    const total = 64 << 20;
    let written = 0;
    const line = Buffer.from(`data: {"x":"${"x".repeat((1 << 16) - 16)}"}\n\n`);
    const end = "data: [DONE]\n\n";
    const worker = await startWorker(["m"], (request, response) => {
      request.resume();
      response.writeHead(200, { "content-type": "text/event-stream" });
      const fill = (): void => {
        while (written < total) {
          written += line.length;
          if (!response.write(line)) return;
        }
        response.end(end);
      };
      response.on("drain", fill);
      fill();
    });
    const { url } = await startController();
    await register(url, worker.url, ["m"]);
    const outgoing = httpRequest(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
    });
    outgoing.end(JSON.stringify(ASK));
    const incoming = await new Promise<import("node:http").IncomingMessage>((resolve) =>
      outgoing.once("response", resolve),
    );
    incoming.pause();
    let before = -1;
    await until(async () => {
      const isStill = written === before;
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return isStill;
    });
    expect(written).toBeLessThan(total / 2);
    let received = 0;
    for await (const chunk of incoming) received += Buffer.isBuffer(chunk) ? chunk.length : 0;
    expect(received).toBe(Math.ceil(total / line.length) * line.length + end.length);
  });
});
