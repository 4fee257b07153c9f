/** Tests answers that take longer than one may, although their worker sends something all the time. Over real HTTP. */
import { completionHead, encodeSseJson, roleChunk, SSE_HEADERS, textChunk } from "@llava/protocol";
import { afterEach, describe, expect, it } from "vitest";
import { closeAll, post, register, startController, startWorker, until } from "./support/stand-in.ts";

const LIMITS = { limits: { totalMs: 700 } };

afterEach(closeAll);

describe("an answer without end", () => {
  it("ends with an error event, and its worker's request ends", async () => {
    let isLeft = false;
    const head = completionHead("m");
    const worker = await startWorker(["m"], (_request, response) => {
      response.writeHead(200, SSE_HEADERS);
      response.write(encodeSseJson(roleChunk(head)));
      const talking = setInterval(() => response.write(encodeSseJson(textChunk(head, "and "))), 20);
      response.once("close", () => {
        clearInterval(talking);
        isLeft = true;
      });
    });
    const { url } = await startController(LIMITS);
    await register(url, worker.url, ["m"]);
    const body = { model: "m", stream: true, messages: [{ role: "user", content: "Tell me everything." }] };
    const { status, text } = await post(`${url}/v1/chat/completions`, body);
    expect(status).toBe(200);
    expect(text).toContain("and ");
    const last = text.trim().split("\n\n").at(-1) ?? "";
    expect(JSON.parse(last.replace("data: ", ""))).toMatchObject({
      error: { code: "timeout", message: expect.stringContaining("0.7 s") },
    });
    await until(() => isLeft);
  });

  it("is an HTTP status when nothing was sent yet", async () => {
    const worker = await startWorker(["m"], () => undefined);
    const { url } = await startController(LIMITS);
    await register(url, worker.url, ["m"]);
    const reply = await post(`${url}/v1/chat/completions`, { model: "m", messages: [] });
    expect([reply.status, JSON.parse(reply.text).error.code]).toEqual([408, "timeout"]);
  });
});
