import type { ServerResponse } from "node:http";
import { LlavaError } from "@llava/protocol";
import { afterEach, describe, expect, it } from "vitest";
import { ASK, eventsOf, numStreams, streaming, WHOLE, WORD } from "./support/chat-requests.ts";
import {
  closeAll,
  post,
  register,
  respondJson,
  startController,
  startWorker,
  until,
  type Handler,
} from "./support/stand-in.ts";

afterEach(closeAll);

describe("queues", () => {
  it("count running answers, and free the slot when they end", async () => {
    const finish: (() => void)[] = [];
    const waiting: Handler = (request, response) => {
      request.resume();
      finish.push(() => respondJson(response, 200, {}));
    };
    const first = await startWorker(["m"], waiting);
    const second = await startWorker(["m"], waiting);
    const { url } = await startController();
    await register(url, first.url, ["m"]);
    await register(url, second.url, ["m"]);
    const answers = [post(`${url}/v1/chat/completions`, ASK)];
    await until(() => first.asked.length === 1);
    answers.push(post(`${url}/v1/chat/completions`, ASK));
    await until(() => second.asked.length === 1);
    for (const end of finish) end();
    await Promise.all(answers);
    expect((await post(`${url}/get_worker_address`, { model: "m" })).text).toBe(`{"address":"${first.url}"}`);
  });
});

describe("models and health", () => {
  it("shows each worker's cards, asked once per registration, and names for the others", async () => {
    const card = {
      id: "m",
      object: "model",
      created: 5,
      owned_by: "llava",
      context_length: 512,
      card: "# M",
    };
    const worker = await startWorker(["m"], (_request, response) =>
      respondJson(response, 200, { object: "list", data: [card, { ...card, id: "unregistered" }] }),
    );
    const plain = await startWorker(["old"], (_request, response) => respondJson(response, 404, {}));
    const { url } = await startController();
    await register(url, worker.url, ["m"]);
    await register(url, plain.url, ["old"]);
    const list = async () => (await fetch(`${url}/v1/models`)).json();
    expect(await list()).toEqual({
      object: "list",
      data: [card, { id: "old", object: "model", created: expect.any(Number), owned_by: "llava" }],
    });
    await list();
    expect(worker.asked).toEqual(["/v1/models"]);
    await register(url, worker.url, ["m"]);
    await list();
    expect(worker.asked).toEqual(["/v1/models", "/v1/models"]);
    expect(await (await fetch(`${url}/health`)).json()).toEqual({
      status: "ok",
      workers: 2,
      models: ["m", "old"],
      streams: 0,
    });
  });

  it("lists the name of a worker that does not answer, and asks it again", async () => {
    let isUp = false;
    const worker = await startWorker(["m"], (_request, response) =>
      isUp
        ? respondJson(response, 200, {
            object: "list",
            data: [{ id: "m", object: "model", created: 5, owned_by: "x" }],
          })
        : respondJson(response, 500, {}),
    );
    const { url } = await startController();
    await register(url, worker.url, ["m"]);
    expect(await (await fetch(`${url}/v1/models`)).json()).toMatchObject({
      data: [{ id: "m", owned_by: "llava" }],
    });
    isUp = true;
    expect(await (await fetch(`${url}/v1/models`)).json()).toMatchObject({
      data: [{ id: "m", owned_by: "x" }],
    });
  });
});

describe("a worker that is silent about its models", () => {
  it("delays the list for a moment only, and is asked once for many lists", async () => {
    const held: ServerResponse[] = [];
    const silent = await startWorker(["m"], (_request, response) => void held.push(response));
    const second = await startWorker(["m"], () => undefined);
    const { url } = await startController();
    await register(url, silent.url, ["m"]);
    await register(url, second.url, ["m"]);
    const list = async () => (await fetch(`${url}/v1/models`)).json();
    const names = { data: [{ id: "m", owned_by: "llava" }] };
    expect(await Promise.all([list(), list()])).toMatchObject([names, names]);
    expect([silent.asked, second.asked]).toEqual([["/v1/models"], []]);
    const card = { id: "m", object: "model", created: 5, owned_by: "x" };
    for (const response of held) respondJson(response, 200, { object: "list", data: [card] });
    await until(async () => JSON.stringify(await list()).includes('"owned_by":"x"'));
    expect(silent.asked).toEqual(["/v1/models"]);
  });
});

describe("shutdown", () => {
  it("lets an answer end", async () => {
    const waiting: ServerResponse[] = [];
    const worker = await startWorker(
      ["m"],
      streaming(WORD, (response) => waiting.push(response)),
    );
    const { url, controller } = await startController();
    await register(url, worker.url, ["m"]);
    const answer = post(`${url}/v1/chat/completions`, ASK);
    await until(async () => (await numStreams(url)) === 1);
    const ended = controller.shutdown(60_000);
    await until(() =>
      fetch(`${url}/health`).then(
        (response) => response.status === 503,
        () => true,
      ),
    );
    waiting[0]?.end(WHOLE);
    expect((await answer).text).toBe(WORD + WHOLE);
    await ended;
  });

  it("ends those that do not with an error event", async () => {
    const worker = await startWorker(
      ["m"],
      streaming(WORD, () => undefined),
    );
    const { url, controller } = await startController();
    await register(url, worker.url, ["m"]);
    const events = eventsOf(url);
    await until(async () => (await numStreams(url)) === 1);
    await controller.shutdown(50);
    expect((await events).at(-1)).toMatchObject({ type: "error", error: { code: "shutting_down" } });
    expect((await events).at(-1)).toHaveProperty("error", expect.any(LlavaError));
  });
});
