/** LLaVA's own wire over real HTTP, for every backend: what the original's programs expect of a worker, and its quirks. */
import { OVERFLOW_TEXT, parseWorkerStatus, SERVER_ERROR_TEXT } from "@llava/protocol";
import { beforeAll, describe, expect, test } from "vitest";
import { png } from "../images/png.ts";

/** A worker with 5 places and a queue of 20, whose answers are letters, one a token, and end only where they are told to. */
export interface LlavaStage {
  readonly url: string;
  readonly model: string;
  readonly incarnation: string;
  readonly contextLength: number;
  readonly tokensPerImage: number;
}

interface Frame {
  readonly text: string;
  readonly error_code: number;
}

const RED = png(40, 30, [255, 0, 0]).toString("base64");
const BLUE = png(40, 30, [0, 0, 255]).toString("base64");
const FAILURE = [{ text: SERVER_ERROR_TEXT, error_code: 1 }];

/** The worker once it runs, and requests to it. */
class LlavaVisit {
  #stage: LlavaStage | undefined;

  constructor(startStage: () => Promise<LlavaStage>) {
    beforeAll(async () => {
      this.#stage = await startStage();
    });
  }

  get stage(): LlavaStage {
    if (!this.#stage) throw new Error("The worker is not started yet.");
    return this.#stage;
  }

  async post(path: string, body: object): Promise<Response> {
    return await fetch(this.stage.url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  async generate(body: object): Promise<Frame[]> {
    const { model } = this.stage;
    const response = await this.post("/worker_generate_stream", { model, temperature: 0, ...body });
    expect(response.status).toBe(200);
    const frames = (await response.text()).split("\0");
    expect(frames.pop()).toBe("");
    return frames.filter((frame) => frame !== "").map((frame): Frame => JSON.parse(frame));
  }

  async answerTo(body: { readonly prompt: string; readonly [field: string]: unknown }): Promise<string> {
    const frames = await this.generate(body);
    return (frames.at(-1)?.text ?? "").slice(body.prompt.length);
  }
}

export function describeLlavaWire(startStage: () => Promise<LlavaStage>): void {
  const visit = new LlavaVisit(startStage);
  describeStatus(visit);
  describeFrames(visit);
  describeWireRefusals(visit);
  describeWireSettings(visit);
}

function describeStatus(visit: LlavaVisit): void {
  describe("/worker_get_status", () => {
    test("has the original's three fields, and says what controllers may ask, but not which images it has seen", async () => {
      const response = await fetch(`${visit.stage.url}/worker_get_status`, { method: "POST" });
      const status: unknown = await response.json();
      expect(status).toMatchObject({
        model_names: [visit.stage.model],
        speed: 1,
        queue_length: 0,
        incarnation: visit.stage.incarnation,
        state: "ready",
        load: { running: 0, waiting: 0, max_running: 5, max_waiting: 20 },
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
        capabilities: expect.objectContaining({ resume: true }),
      });
      expect(status).not.toHaveProperty("image_keys");
      expect(parseWorkerStatus(status)).toEqual(status);
    });
  });
}

function describeFrames(visit: LlavaVisit): void {
  describe("/worker_generate_stream: frames", () => {
    test("frames hold the prompt first and then the cumulative text", async () => {
      const frames = await visit.generate({ prompt: "P", max_new_tokens: 4 });
      expect(frames[0]).toEqual({ text: "P", error_code: 0 });
      expect(frames.length).toBeGreaterThan(2);
      for (const [index, frame] of frames.entries()) {
        expect(frame.error_code).toBe(0);
        expect(Object.keys(frame)).toEqual(["text", "error_code"]);
        expect(frame.text.startsWith(frames[index - 1]?.text ?? "P")).toBe(true);
      }
      expect(frames.at(-1)?.text).toMatch(/^P[a-z]{4}$/);
    });

    test("is ASCII on the wire whatever the prompt", async () => {
      const response = await visit.post("/worker_generate_stream", { prompt: "é🐈 ", max_new_tokens: 1 });
      const bytes = new Uint8Array(await response.arrayBuffer());
      expect(bytes.every((byte) => byte < 0x80)).toBe(true);
      expect(bytes.at(-1)).toBe(0);
      const frame = Buffer.from(bytes).toString("latin1").split("\0")[0] ?? "";
      expect(JSON.parse(frame)).toEqual({ text: "é🐈 ", error_code: 0 });
    });

    test("a prompt longer than the context is one chunk: prompt, overflow sentence, code 0", async () => {
      const prompt = "x".repeat(visit.stage.contextLength);
      expect(await visit.generate({ prompt })).toEqual([{ text: prompt + OVERFLOW_TEXT, error_code: 0 }]);
      expect(await visit.generate({ prompt: "P", max_new_tokens: 0 })).toEqual([
        { text: `P${OVERFLOW_TEXT}`, error_code: 0 },
      ]);
    });

    test("images count with the tokens that they truly take", async () => {
      const { contextLength, tokensPerImage } = visit.stage;
      // <s>, then a prompt that leaves room for exactly one token beside the image.
      const fits = `<image>${"x".repeat(contextLength - 2 - tokensPerImage)}`;
      expect(await visit.answerTo({ prompt: fits, images: [RED] })).toMatch(/^[a-z]$/);
      expect(await visit.generate({ prompt: `${fits}x`, images: [RED] })).toEqual([
        { text: `${fits}x${OVERFLOW_TEXT}`, error_code: 0 },
      ]);
    });
  });
}

function describeWireRefusals(visit: LlavaVisit): void {
  describe("/worker_generate_stream: refusals", () => {
    test.each([
      ["a mark without an image", { prompt: "<image>\nP" }],
      ["an image without a mark", { prompt: "P", images: [RED] }],
      ["fewer images than marks", { prompt: "<image><image>", images: [RED] }],
      [
        "an image that is none",
        { prompt: "<image>", images: [Buffer.from("GIF89a nothing").toString("base64")] },
      ],
      [
        "a truncated image",
        { prompt: "<image>", images: [png(200, 200, [1, 2, 3]).subarray(0, 60).toString("base64")] },
      ],
      ["an image that is not base64", { prompt: "<image>", images: ["data:image/png;base64,AAAA"] }],
      ["no prompt", {}],
      ["a temperature that is no number", { prompt: "P", temperature: "NaN" }],
    ])("%s is one frame with the fixed sentence and code 1", async (_name, body) => {
      expect(await visit.generate(body)).toEqual(FAILURE);
    });
  });
}

function describeWireSettings(visit: LlavaVisit): void {
  describe("/worker_generate_stream: settings", () => {
    test("raw base64 images change the answer; null and none mean a text alone", async () => {
      const ask = { prompt: "<image>\nWhat?", max_new_tokens: 24 };
      const red = await visit.answerTo({ ...ask, images: [RED] });
      expect(await visit.answerTo({ ...ask, images: [RED] })).toBe(red);
      expect(await visit.answerTo({ ...ask, images: [BLUE] })).not.toBe(red);
      expect(await visit.answerTo({ prompt: "P", images: null, max_new_tokens: 3 })).toMatch(/^[a-z]{3}$/);
    });

    test("stop stops, and its text is left out; without stop the answer runs to its limit", async () => {
      const whole = await visit.answerTo({ prompt: "P", max_new_tokens: 40 });
      expect(whole).toHaveLength(40);
      const stop = whole.slice(10, 12);
      expect(await visit.answerTo({ prompt: "P", max_new_tokens: 40, stop })).toBe(
        whole.slice(0, whole.indexOf(stop)),
      );
    });

    test("max_new_tokens is cut to 1024 and to what the context holds", async () => {
      const answer = await visit.answerTo({ prompt: "P", max_new_tokens: 5000 });
      expect(answer).toHaveLength(visit.stage.contextLength - 2);
    });

    test("numbers may be strings, the model's name is not looked at", async () => {
      expect(
        await visit.answerTo({ model: "other", prompt: "P", max_new_tokens: "2", top_p: "0.9" }),
      ).toHaveLength(2);
    });
  });
}
