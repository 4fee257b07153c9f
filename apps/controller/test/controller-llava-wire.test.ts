import { SERVER_ERROR_TEXT } from "@llava/protocol";
import { afterEach, describe, expect, it } from "vitest";
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
} from "./support/stand-in.ts";

afterEach(closeAll);

const MODEL = "llava-v1.5-7b";

describe("LLaVA's conformance vectors", () => {
  it("registers, lists and assigns workers, and refuses heartbeats of unknown ones", async () => {
    const { url } = await startController();
    const body = {
      worker_name: "http://127.0.0.1:1",
      check_heart_beat: true,
      worker_status: { model_names: [MODEL], speed: 1, queue_length: 0 },
    };
    expect(await post(`${url}/register_worker`, body)).toMatchObject({ status: 200, text: "null" });
    expect(await post(`${url}/list_models`)).toMatchObject({ status: 200, text: `{"models":["${MODEL}"]}` });
    expect((await post(`${url}/get_worker_address`, { model: MODEL })).text).toBe(
      '{"address":"http://127.0.0.1:1"}',
    );
    expect((await post(`${url}/get_worker_address`, { model: "other" })).text).toBe('{"address":""}');
    const beat = { worker_name: "http://x", queue_length: 0 };
    expect((await post(`${url}/receive_heart_beat`, beat)).text).toBe('{"exist":false}');
    const known = { worker_name: "http://127.0.0.1:1", queue_length: 3 };
    expect((await post(`${url}/receive_heart_beat`, known)).text).toBe('{"exist":true}');
  });

  it("picks B, A, B, A for queues of 2 and 1", async () => {
    const { url } = await startController();
    await register(url, "http://127.0.0.1:2", [MODEL], { queueLength: 2 });
    await register(url, "http://127.0.0.1:3", [MODEL], { queueLength: 1 });
    const picked: string[] = [];
    for (let turn = 0; turn < 4; turn += 1)
      picked.push((await post(`${url}/get_worker_address`, { model: MODEL })).text);
    expect(picked).toEqual([3, 2, 3, 2].map((name) => `{"address":"http://127.0.0.1:${name}"}`));
  });

  it("relays the stream byte for byte, the body too", async () => {
    const frames = '{"text":"P","error_code":0}\0{"text":"PHello","error_code":0}\0';
    let received = "";
    const worker = await startWorker([MODEL], (request, response) => {
      request.on("data", (chunk: Buffer) => (received += chunk.toString()));
      request.on("end", () => {
        response.write(frames.slice(0, 40));
        setTimeout(() => response.end(frames.slice(40)), 30);
      });
    });
    const { url } = await startController();
    await register(url, worker.url, [MODEL]);
    const body = `{ "prompt" : "P", "images": [], "model":"${MODEL}",  "stop": "\\u00e9" }`;
    const reply = await post(`${url}/worker_generate_stream`, body, { "x-request-id": "abc-1" });
    expect(reply).toMatchObject({ status: 200, text: frames });
    expect(reply.headers.get("x-request-id")).toBe("abc-1");
    expect(received).toBe(body);
    expect(worker.asked).toEqual(["/worker_generate_stream"]);
  });

  it("sends one frame with code 2 when no worker has the model", async () => {
    const { url } = await startController();
    const reply = await post(`${url}/worker_generate_stream`, { model: MODEL, prompt: "P" });
    expect(reply).toMatchObject({ status: 200, text: `{"text":"${SERVER_ERROR_TEXT}","error_code":2}\0` });
  });

  it("sends code 3 when the worker cannot be reached, and drops it", async () => {
    const { url } = await startController();
    await register(url, await deadAddress(), [MODEL]);
    const reply = await post(`${url}/worker_generate_stream`, { model: MODEL, prompt: "P" });
    expect(reply).toMatchObject({ status: 200, text: `{"text":"${SERVER_ERROR_TEXT}","error_code":3}\0` });
    expect(await modelsOf(url)).toEqual({ models: [] });
  });

  it("ends a broken stream with one frame of code 3, after whole frames only", async () => {
    const worker = await startWorker([MODEL], (_request, response) => {
      response.write('{"text":"P","error_code":0}\0{"text":"PHel', () =>
        setTimeout(() => response.destroy(), 30),
      );
    });
    const { url } = await startController();
    await register(url, worker.url, [MODEL]);
    const reply = await post(`${url}/worker_generate_stream`, { model: MODEL, prompt: "P" });
    expect(reply.text).toBe(`{"text":"P","error_code":0}\0{"text":"${SERVER_ERROR_TEXT}","error_code":3}\0`);
  });

  it("sends code 1 when the worker failed", async () => {
    const worker = await startWorker([MODEL], (_request, response) =>
      respondJson(response, 500, { detail: "no" }),
    );
    const { url } = await startController();
    await register(url, worker.url, [MODEL]);
    const reply = await post(`${url}/worker_generate_stream`, { model: MODEL, prompt: "P" });
    expect(reply).toMatchObject({ status: 200, text: `{"text":"${SERVER_ERROR_TEXT}","error_code":1}\0` });
    expect(await modelsOf(url)).toEqual({ models: [MODEL] });
  });
});

describe("registration", () => {
  it("asks a worker that does not bring its status, and refuses it when it is silent", async () => {
    const worker = await startWorker([MODEL], (_request, response) => respondJson(response, 404, {}));
    const { url } = await startController();
    const ask = (name: string) =>
      post(`${url}/register_worker`, { worker_name: name, check_heart_beat: false, worker_status: null });
    const refused = await ask(await deadAddress());
    expect(refused.status).toBe(400);
    expect(refused.text).toContain("does not say how it is on POST /worker_get_status; it was not taken in");
    expect(await modelsOf(url)).toEqual({ models: [] });
    expect(await ask(worker.url)).toMatchObject({ status: 200, text: "null" });
    expect(await modelsOf(url)).toEqual({ models: [MODEL] });
  });

  it("refreshes without ever emptying the table, and drops workers that do not answer", async () => {
    const held: (() => void)[] = [];
    const slow = await startWorker([MODEL], () => undefined);
    slow.server.removeAllListeners("request");
    slow.server.on("request", (_request, response) => {
      held.push(() => respondJson(response, 200, { model_names: [MODEL, "new"], speed: 1, queue_length: 0 }));
    });
    const { url } = await startController();
    await register(url, slow.url, [MODEL]);
    await register(url, await deadAddress(), ["gone"], { checkHeartBeat: false });
    const refreshed = post(`${url}/refresh_all_workers`);
    await until(() => held.length > 0);
    expect(await modelsOf(url)).toMatchObject({ models: expect.arrayContaining([MODEL]) });
    for (const answer of held) answer();
    expect(await refreshed).toMatchObject({ status: 200, text: "null" });
    expect(await modelsOf(url)).toEqual({ models: [MODEL, "new"] });
  });

  it("acts as a worker of another controller", async () => {
    const first = await startWorker(["a", "b"], () => undefined);
    const second = await startWorker(["b"], () => undefined);
    const { url } = await startController();
    await register(url, first.url, ["a", "b"]);
    await register(url, second.url, ["b"]);
    const status = JSON.parse((await post(`${url}/worker_get_status`)).text);
    expect(status).toEqual({ model_names: expect.arrayContaining(["a", "b"]), speed: 2, queue_length: 0 });
  });

  it("drops a worker whose heartbeats stop, and only that one", async () => {
    const { url } = await startController({ heartbeatExpiryMs: 50 });
    await register(url, "http://127.0.0.1:4", ["silent"]);
    await register(url, "http://127.0.0.1:5", ["steady"], { checkHeartBeat: false });
    await until(async () => JSON.stringify(await modelsOf(url)) === '{"models":["steady"]}');
    // A heartbeat would bring it back until the next sweep, which removes it.
    await until(async () => (await (await fetch(`${url}/health`)).text()).includes('"workers":1'));
    const beat = { worker_name: "http://127.0.0.1:4", queue_length: 0 };
    expect((await post(`${url}/receive_heart_beat`, beat)).text).toBe('{"exist":false}');
  });
});

describe("bad input", () => {
  it.each([
    ["/register_worker", "{", 400, "The body is not JSON."],
    [
      "/register_worker",
      { worker_name: "file:///etc/passwd", check_heart_beat: true },
      400,
      "of http or https",
    ],
    ["/receive_heart_beat", { worker_name: "http://127.0.0.1:1" }, 400, "The field queue_length is missing"],
    ["/get_worker_address", {}, 400, "The field model is missing"],
    ["/worker_generate_stream", { prompt: "P" }, 400, "The field model is missing"],
    ["/worker_generate_stream", '{"model":"m', 400, "it ends inside a text"],
    ["/v1/chat/completions", "[]", 400, "The body must be a JSON object."],
    ["/v1/chat/completions", { model: 5 }, 400, "The field model must be a model's name."],
    ["/nothing", {}, 404, 'There is no \\"POST /nothing\\" here'],
    ["/list_models", "x".repeat(70_000), 413, "larger than the 64 KiB that this endpoint takes"],
  ])("answers %s with a sentence", async (path, body, status, sentence) => {
    const { url } = await startController();
    const reply = await post(url + path, body);
    expect(reply.status).toBe(status);
    expect(reply.text).toContain(sentence);
    expect(JSON.parse(reply.text)).toMatchObject({ error: { message: expect.any(String) } });
  });

  it("takes JSON only, uncompressed", async () => {
    const { url } = await startController();
    expect(await post(`${url}/list_models`, "{}", { "content-type": "text/plain" })).toMatchObject({
      status: 415,
    });
    expect(await post(`${url}/list_models`, "{}", { "content-encoding": "gzip" })).toMatchObject({
      status: 415,
    });
  });
});
