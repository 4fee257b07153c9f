/** Failures as OpenAI's own client sees them: its error classes, when it tries again, and that leaving ends the work. */
import OpenAI, {
  APIConnectionError,
  APIError,
  APIUserAbortError,
  BadRequestError,
  RateLimitError,
} from "openai";
import { describe, expect, test } from "vitest";
import { clientOf, ENDLESS, streamed, TEXT, type Visit } from "./openai-stage.ts";

export function describeRefusals(visit: Visit): void {
  describe("a request that cannot be done", () => {
    test.each([
      [{ n: 9 }, "n"],
      [{ top_logprobs: 3 }, "top_logprobs"],
      [{ logit_bias: { "5": 110 } }, "logit_bias.5"],
      [{ frequency_penalty: 2.5 }, "frequency_penalty"],
      [{ presence_penalty: -3 }, "presence_penalty"],
      [{ functions: [{ name: "f" }] }, "functions"],
      [{ tools: [{ type: "function" as const, function: { name: "f" } }] }, "tools"],
      [{ modalities: ["text" as const, "audio" as const] }, "modalities"],
      [{ temperature: 3 }, "temperature"],
      [{ seed: 1.5 }, "seed"],
      [{ stop: ["a", "b", "c", "d", "e"] }, "stop"],
      [{ min_p: -0.1 }, "min_p"],
      [{ typical_p: 0.5 }, "typical_p"],
    ])("%j is refused by name and not tried again", async (fields, param) => {
      for (const params of [visit.asked(TEXT), streamed(visit.asked(TEXT))]) {
        const refusal = visit.client.chat.completions.create({ ...params, ...fields }, { maxRetries: 2 });
        await expect(refusal).rejects.toBeInstanceOf(BadRequestError);
        await expect(refusal).rejects.toMatchObject({
          status: 400,
          type: "invalid_request_error",
          code: "invalid_request",
          param,
          message: expect.stringContaining(param),
          requestID: expect.stringMatching(/^[\w-]+$/),
        });
      }
    });
  });
}

export function describeErrors(visit: Visit): void {
  describe("an error", () => {
    test("an image that is none, and one that would have to be fetched", async () => {
      const shown = (url: string): Promise<unknown> =>
        visit.client.chat.completions.create(visit.asked({ type: "image_url", image_url: { url } }, TEXT));
      await expect(shown("data:image/png;base64,AAAA")).rejects.toMatchObject({
        status: 400,
        code: "invalid_image",
      });
      await expect(shown("http://127.0.0.1:9/cat.png")).rejects.toBeInstanceOf(BadRequestError);
    });

    test("a prompt over the context", async () => {
      const long = visit.client.chat.completions.create(
        visit.asked({ type: "text", text: "x".repeat(2_000) }),
      );
      await expect(long).rejects.toMatchObject({ status: 400, code: "context_length_exceeded" });
    });

    test("a server that is not there", async () => {
      const nobody = new OpenAI({ baseURL: "http://127.0.0.1:9/v1", apiKey: "none", maxRetries: 0 });
      await expect(nobody.models.list()).rejects.toBeInstanceOf(APIConnectionError);
    });

    test.skipIf(visit.lacks("several_choices"))(
      "in the middle of a stream, of one answer or of several, is thrown, not taken for its end",
      async () => {
        const { mortal } = visit.stage;
        const words = [0, 0];
        const read = async (n: number): Promise<void> => {
          const stream = await clientOf(mortal).chat.completions.create({ ...visit.endless(), n });
          for await (const _ of stream) {
            words[n - 1] = (words[n - 1] ?? 0) + 1;
            if (words.every((count) => count > 4)) mortal.abort();
          }
        };
        const ends = await Promise.allSettled([read(1), read(2)]);
        const reason = expect.objectContaining({ code: "shutting_down", type: "server_error" });
        expect(ends).toEqual(ends.map(() => ({ status: "rejected", reason })));
        for (const end of ends) expect(end.status === "rejected" && end.reason).toBeInstanceOf(APIError);
      },
    );
  });
}

export function describeFullServer(visit: Visit): void {
  test("a full server answers 429 with the time to wait, which the client keeps to, and then serves it", async () => {
    const { narrow } = visit.stage;
    const guest = await narrow.occupy();
    const refusal = clientOf(narrow).chat.completions.create(visit.asked(TEXT));
    await expect(refusal).rejects.toBeInstanceOf(RateLimitError);
    await expect(refusal).rejects.toMatchObject({
      status: 429,
      code: "overloaded",
      type: "rate_limit_error",
    });
    const headers = await refusal.catch((error: unknown) =>
      error instanceof APIError ? error.headers : null,
    );
    const waitS = Number(headers?.get("retry-after"));
    expect(waitS).toBeGreaterThanOrEqual(1);
    expect(headers?.get("retry-after-ms")).toBe(`${waitS * 1000}`);
    const answers: number[] = [];
    const patient = clientOf(narrow, {
      maxRetries: 2,
      fetch: async (url, init) => {
        const response = await fetch(url, init);
        if (answers.push(response.status) === 1) guest[Symbol.dispose]();
        return response;
      },
    });
    expect((await patient.chat.completions.create(visit.asked(TEXT))).choices[0]?.finish_reason).toBe(
      "length",
    );
    expect(answers).toEqual([429, 200]);
  });
}

export function describeLeaving(visit: Visit): void {
  describe("a client that leaves", () => {
    test("by abort ends the work", async () => {
      const leaving = new AbortController();
      const reading = (async () => {
        const stream = await visit.client.chat.completions.create(visit.endless(), {
          signal: leaving.signal,
        });
        for await (const _ of stream) leaving.abort();
      })();
      await reading;
      await visit.idle();
      const whole = visit.client.chat.completions.create(
        { ...visit.asked(TEXT), max_completion_tokens: ENDLESS },
        { signal: AbortSignal.timeout(50) },
      );
      await expect(whole).rejects.toBeInstanceOf(APIUserAbortError);
      await visit.idle();
    });

    test("by breaking out of the stream ends the work", async () => {
      for await (const _ of await visit.client.chat.completions.create(visit.endless())) break;
      await visit.idle();
    });
  });
}
