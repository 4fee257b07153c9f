import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readBody, readSse } from "@llava/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { png } from "@llava/testing/png";
import { writeTinyModel } from "../../../worker/test/support/tiny-model.ts";
import { numStreams } from "../support/chat-requests.ts";
import { textOf } from "../support/resume-worker.ts";
import { start, type Program } from "../support/child-program.ts";
import { closeAll, modelsOf, register, startController, until } from "../support/stand-in.ts";

afterEach(closeAll);

const STAND_IN = new URL("../support/resume-process.ts", import.meta.url);
const REAL = new URL("../../../worker/src/main.ts", import.meta.url);
const RESUMING = { capabilities: { resume: true } };

const chunkSchema = z.object({
  choices: z
    .array(
      z.object({
        delta: z.object({ content: z.string().default("") }),
        finish_reason: z.string().nullable(),
      }),
    )
    .default([]),
  usage: z.object({ completion_tokens: z.number() }).nullish(),
  error: z.object({ code: z.string() }).optional(),
});

interface Answer {
  readonly text: string;
  readonly numMoves: number;
  readonly finishReasons: readonly string[];
  /** The tokens by the usage; null when it was not asked for. */
  readonly numTokens: number | null;
  readonly errors: readonly string[];
  readonly isDone: boolean;
}

/** Reads a streamed answer. @param onText called with the number of texts so far, first with 0 when the answer begins */
async function ask(
  url: string,
  body: object,
  onText: (numTexts: number) => void = () => {},
): Promise<Answer> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
  const texts: string[] = [];
  const finishReasons: string[] = [];
  const errors: string[] = [];
  let numTokens: number | null = null;
  let isDone = false;
  let raw = "";
  const noted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const bytes of readBody(response.body)) {
      raw += Buffer.from(bytes).toString("latin1");
      yield bytes;
    }
  };
  for await (const { data } of readSse(noted())) {
    expect(isDone).toBe(false);
    isDone = data === "[DONE]";
    if (isDone) continue;
    const chunk = chunkSchema.parse(JSON.parse(data));
    for (const { delta, finish_reason } of chunk.choices) {
      if (delta.content !== "") texts.push(delta.content);
      if (finish_reason !== null) finishReasons.push(finish_reason);
    }
    if (chunk.error !== undefined) errors.push(chunk.error.code);
    numTokens = chunk.usage?.completion_tokens ?? numTokens;
    onText(texts.length);
  }
  const numMoves = raw.split("\n: migrated\n\n").length - 1;
  return { text: texts.join(""), numMoves, finishReasons, numTokens, errors, isDone };
}

/** Kills the program when `count` texts have come, or more at once. */
function killAt(program: Program, count: number): (numTexts: number) => void {
  return (numTexts) => {
    if (numTexts >= count) program.child.kill("SIGKILL");
  };
}

describe("a worker's process that is killed", () => {
  const LENGTH = 12;
  const ASK = { model: "m", messages: [], stream: true, seed: 3, max_tokens: LENGTH };

  it.each([0, 1, 5, LENGTH])("after %i tokens is not missed", async (count) => {
    const { url } = await startController();
    const [first, second] = await Promise.all([start(STAND_IN), start(STAND_IN)]);
    await register(url, first.address, ["m"], { report: RESUMING });
    await register(url, second.address, ["m"], { queueLength: 5, report: RESUMING });
    const answer = await ask(url, ASK, killAt(first, count));
    expect(answer).toMatchObject({
      text: textOf(3, LENGTH),
      numMoves: 1,
      errors: [],
      isDone: true,
    });
    expect(answer.finishReasons).toEqual(["length"]);
    await until(async () => (await numStreams(url)) === 0);
    await first.ended;
  });

  it.each([0, 5, LENGTH])("after %i tokens is an error event when it was the only one", async (count) => {
    const { url } = await startController();
    const only = await start(STAND_IN);
    await register(url, only.address, ["m"], { report: RESUMING });
    const answer = await ask(url, ASK, killAt(only, count));
    expect(answer).toMatchObject({ errors: ["worker_lost"], finishReasons: [], isDone: false });
    expect(textOf(3, LENGTH).startsWith(answer.text)).toBe(true);
    expect(await modelsOf(url)).toEqual({ models: [] });
  });
});

describe("a worker's process that is stopped", () => {
  const ASK = { model: "m", messages: [], stream: true, seed: 4, max_tokens: 12 };

  it("midway is not missed, and its end of the stream is closed when it goes on", async () => {
    const { url } = await startController({ limits: { idleMs: 1_000 } });
    const [first, second] = await Promise.all([start(STAND_IN), start(STAND_IN)]);
    await register(url, first.address, ["m"], { report: RESUMING });
    await register(url, second.address, ["m"], { queueLength: 5, report: RESUMING });
    const answer = await ask(url, ASK, (numTexts) => {
      if (numTexts === 4) first.child.kill("SIGSTOP");
    });
    expect(answer).toMatchObject({ text: textOf(4, 12), errors: [], isDone: true });
    first.child.kill("SIGCONT");
    const status: unknown = await (await fetch(`${first.address}/worker_get_status`)).json();
    expect(status).toMatchObject({ queue_length: 0 });
  });

  it("before the first byte is passed over", async () => {
    const { url } = await startController({ limits: { idleMs: 1_000 } });
    const [first, second] = await Promise.all([start(STAND_IN), start(STAND_IN)]);
    await register(url, first.address, ["m"], { report: RESUMING });
    await register(url, second.address, ["m"], { queueLength: 5, report: RESUMING });
    first.child.kill("SIGSTOP");
    expect(await ask(url, ASK)).toMatchObject({ text: textOf(4, 12), errors: [], isDone: true });
  });
});

it("leaves nothing behind when the client leaves an answer that has moved", async () => {
  const { url } = await startController();
  const [first, second] = await Promise.all([start(STAND_IN), start(STAND_IN)]);
  await register(url, first.address, ["m"], { report: RESUMING });
  await register(url, second.address, ["m"], { queueLength: 5, report: RESUMING });
  const left = new AbortController();
  const body = { model: "m", messages: [], stream: true, max_tokens: 1_000_000 };
  const kill = killAt(first, 3);
  const request = {
    method: "POST",
    headers: { "content-type": "application/json" },
    signal: left.signal,
  };
  const response = await fetch(`${url}/v1/chat/completions`, {
    ...request,
    body: JSON.stringify(body),
  });
  let stream = "";
  try {
    for await (const bytes of readBody(response.body)) {
      stream += Buffer.from(bytes).toString();
      kill(stream.split('"content":"w').length - 1);
      if (/: migrated\n\n.*"content":"w/s.test(stream)) left.abort();
    }
  } catch {
    // The abort.
  }
  expect(left.signal.aborted).toBe(true);
  await until(async () => (await numStreams(url)) === 0);
  await until(async () => {
    const status: unknown = await (await fetch(`${second.address}/worker_get_status`)).json();
    return z.object({ queue_length: z.number() }).parse(status).queue_length === 0;
  });
});

describe("the real worker, killed", () => {
  const NAME = "tiny-llava-v1";
  /** So many tokens that the kill comes before the end; the context has room for 1024 with the prompt. */
  const LENGTH = 800;
  const IMAGE = `data:image/png;base64,${png(30, 40, [0, 255, 0]).toString("base64")}`;
  const CONTENT = [
    { type: "image_url", image_url: { url: IMAGE } },
    { type: "text", text: "What color is it?" },
  ];
  const ASK = {
    model: NAME,
    messages: [{ role: "user", content: CONTENT }],
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: LENGTH,
  };
  const GREEDY = { ...ASK, temperature: 0 };
  const SEEDED = { ...ASK, temperature: 0.8, top_p: 0.9 };

  let root = "";
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "llava-migration-"));
    await writeTinyModel(join(root, NAME));
  });
  afterAll(() => rm(root, { recursive: true }));

  const startReal = (): Promise<Program> =>
    start(REAL, "--model-path", join(root, NAME), "--port", "0", "--threads", "1", "--no-register");

  /** The undisturbed answer of the first seed whose answer is long enough to be interrupted anywhere. */
  const longAnswer = async (
    { address }: Program,
    body: object,
  ): Promise<{ readonly seeded: object; readonly undisturbed: Answer }> => {
    for (let seed = 1; seed <= 30; seed += 1) {
      const seeded = { ...body, seed };
      const undisturbed = await ask(address, seeded);
      if ((undisturbed.numTokens ?? 0) > 400) return { seeded, undisturbed };
    }
    throw new Error("The tiny model says little, whatever the seed.");
  };

  describe.each([
    ["greedy", GREEDY],
    ["seeded", SEEDED],
  ])("in a %s answer", (_name, body) => {
    it.each([0, 1, 5, 300])("after %i texts leaves the text as it would have been", async (count) => {
      const { url } = await startController();
      const [first, second] = await Promise.all([startReal(), startReal()]);
      const known = { report: RESUMING, checkHeartBeat: false };
      await register(url, first.address, [NAME], known);
      await register(url, second.address, [NAME], { ...known, queueLength: 5 });
      const { seeded, undisturbed } = await longAnswer(second, body);
      expect(undisturbed).toMatchObject({ numMoves: 0, errors: [], isDone: true });
      const answer = await ask(url, seeded, killAt(first, count));
      // The last ones may be on their way already.
      const numMoves = count < 10 ? 1 : answer.numMoves;
      expect(answer).toEqual({ ...undisturbed, numMoves });
      // A text may have several tokens, so that there may have been fewer texts.
      first.child.kill("SIGKILL");
      await first.ended;
      await until(async () => (await numStreams(url)) === 0);
    });
  });
});
