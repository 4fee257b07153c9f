/** Tests LLaVA's own wire through a controller whose worker is lost: the client's text does not change. Over real HTTP. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readWireChunks, SERVER_ERROR_TEXT, type WireChunk } from "@llava/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { png } from "@llava/testing/png";
import { writeTinyModel } from "../../../worker/test/support/tiny-model.ts";
import { resumeWorker, textOf } from "../support/resume-worker.ts";
import { start, type Program } from "../support/child-program.ts";
import { closeAll, register, startController, startWorker } from "../support/stand-in.ts";

const REAL = new URL("../../../worker/src/main.ts", import.meta.url);
const RESUMING = { capabilities: { resume: true } };

afterEach(closeAll);

/** Reads all frames of an answer. @param onText called with the number of frames so far */
async function ask(
  url: string,
  body: object,
  onText: (numFrames: number) => void = () => undefined,
): Promise<readonly WireChunk[]> {
  const response = await fetch(`${url}/worker_generate_stream`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
  if (response.body === null) throw new Error("There is no body.");
  const frames: WireChunk[] = [];
  for await (const frame of readWireChunks(response.body)) {
    frames.push(frame);
    onText(frames.length);
  }
  return frames;
}

/** Checks that each frame begins with the text of the one before. */
function expectGrowing(frames: readonly WireChunk[]): void {
  for (const [i, { text }] of frames.entries()) {
    const before = frames[i - 1]?.text ?? "";
    expect(text.startsWith(before) && (i === 0 || text.length > before.length)).toBe(true);
  }
}

describe("an answer whose worker breaks off", () => {
  const LENGTH = 12;
  const ASK = { model: "m", prompt: "P \u00e9 ", max_new_tokens: LENGTH };
  const WHOLE = `${ASK.prompt}${textOf(1, LENGTH)}`;
  /** Breaks off before the token at a position, when the client has everything before it. */
  const breaking = (count: number) => {
    const { promise: allHeard, resolve } = Promise.withResolvers<void>();
    const worker = resumeWorker({
      step: async (position, response) => {
        if (position !== count) return true;
        await allHeard;
        response.destroy();
        return false;
      },
    });
    const onText = (numFrames: number): void => {
      if (numFrames === 1 + count) resolve();
    };
    return { worker, onText };
  };

  it.each([0, 1, 5, LENGTH])("after %i tokens goes on from another worker", async (count) => {
    const { url } = await startController();
    const { worker, onText } = breaking(count);
    const first = await startWorker(["m"], worker, RESUMING);
    const second = await startWorker(["m"], resumeWorker(), RESUMING);
    await register(url, first.url, ["m"], { report: RESUMING });
    await register(url, second.url, ["m"], { queueLength: 5, report: RESUMING });
    const frames = await ask(url, ASK, onText);
    expect(frames.at(-1)).toEqual({ text: WHOLE, error_code: 0 });
    expect(frames).toHaveLength(1 + LENGTH);
    expectGrowing(frames);
    expect(second.asked).toContain("/worker_generate_stream");
  });

  it("ends with LLaVA's own failure when there is no other", async () => {
    const { url } = await startController();
    const { worker, onText } = breaking(5);
    const only = await startWorker(["m"], worker, RESUMING);
    await register(url, only.url, ["m"], { report: RESUMING });
    const frames = await ask(url, ASK, onText);
    expect(frames.at(-1)).toEqual({ text: SERVER_ERROR_TEXT, error_code: 3 });
    expect(frames.at(-2)).toEqual({ text: `${ASK.prompt}${textOf(1, 5)}`, error_code: 0 });
  });

  it("does not go on from a worker that cannot", async () => {
    const { url } = await startController();
    const { worker, onText } = breaking(5);
    const first = await startWorker(["m"], worker, RESUMING);
    const original = await startWorker(["m"], resumeWorker());
    await register(url, first.url, ["m"], { report: RESUMING });
    await register(url, original.url, ["m"], { queueLength: 5 });
    expect((await ask(url, ASK, onText)).at(-1)).toEqual({ text: SERVER_ERROR_TEXT, error_code: 3 });
    expect(original.asked).not.toContain("/worker_generate_stream");
  });
});

describe("the real worker, killed", () => {
  const NAME = "tiny-llava-v1";
  const PROMPT = "USER: <image>\nWhat color is it? ASSISTANT:";
  const IMAGE = png(30, 40, [0, 255, 0]).toString("base64");
  const GREEDY = { model: NAME, prompt: PROMPT, images: [IMAGE], temperature: 0, max_new_tokens: 800 };

  let root = "";
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "llava-wire-migration-"));
    await writeTinyModel(join(root, NAME));
  });
  afterAll(() => rm(root, { recursive: true }));

  const startReal = (): Promise<Program> =>
    start(REAL, "--model-path", join(root, NAME), "--port", "0", "--threads", "1", "--no-register");

  it.each([1, 2, 6, 300])("after %i frames leaves the text as it would have been", async (count) => {
    const { url } = await startController();
    const [first, second] = await Promise.all([startReal(), startReal()]);
    const known = { report: RESUMING, checkHeartBeat: false };
    await register(url, first.address, [NAME], known);
    await register(url, second.address, [NAME], { ...known, queueLength: 5 });
    const undisturbed = await ask(second.address, GREEDY);
    expect(undisturbed.length).toBeGreaterThan(400);
    const frames = await ask(url, GREEDY, (numFrames) => {
      if (numFrames >= count) first.child.kill("SIGKILL");
    });
    expect(frames).toEqual(undisturbed);
    await first.ended;
  });

  it("lets only controllers continue an answer", async () => {
    const { url } = await startController();
    const worker = await startReal();
    await register(url, worker.address, [NAME], { report: RESUMING, checkHeartBeat: false });
    const resume = {
      id: "chatcmpl-1",
      created: 1,
      seed: 1,
      tokens: [],
      sent_frame: { text: PROMPT, error_code: 0 },
    };
    const [direct] = await ask(worker.address, { ...GREEDY, llava_resume: resume });
    expect(direct).toEqual({ text: SERVER_ERROR_TEXT, error_code: 1 });
    const relayed = await fetch(`${url}/worker_generate_stream`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...GREEDY, llava_resume: resume }),
    });
    expect(relayed.status).toBe(400);
  });
});
