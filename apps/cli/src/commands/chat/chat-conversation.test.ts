import type { EngineEvent, GenerateRequest } from "@llava/engine";
import { LlavaError } from "@llava/protocol";
import { expect, test } from "vitest";
import { Conversation } from "./chat-conversation.ts";

const TIMINGS = { queueMs: 0, encodeMs: 0, prefillMs: 0, decodeMs: 0, firstTokenMs: 0 };
const FINISHED: EngineEvent = {
  type: "finished",
  reason: "stop",
  usage: { promptTokens: 1, imageTokens: 0, cachedTokens: 0, completionTokens: 1 },
  timings: TIMINGS,
};
const FAILED: EngineEvent = { type: "error", error: new LlavaError("cancelled", "stopped") };

/** Remembers what it was asked and answers from a script: the turns are under test here, not the model. */
class Script {
  readonly asked: GenerateRequest[] = [];
  readonly #answers: EngineEvent[][];

  constructor(...answers: EngineEvent[][]) {
    this.#answers = answers;
  }

  async *generate(request: GenerateRequest): AsyncGenerator<EngineEvent> {
    this.asked.push(request);
    yield* this.#answers.shift() ?? [];
  }
}

function says(text: string): EngineEvent {
  return { type: "text-delta", text, tokens: [1] };
}

async function ask(
  conversation: Conversation,
  question: string,
  signal = new AbortController().signal,
): Promise<void> {
  for await (const event of conversation.ask(question, signal)) void event;
}

const CAT = new Uint8Array([1]);
const DOG = new Uint8Array([2]);

test("images go before the question in which they are first shown and stay for the later ones", async () => {
  const script = new Script([says(" red"), FINISHED], [says(" two"), FINISHED]);
  const conversation = new Conversation(script, { temperature: 0 });
  conversation.attach(CAT);
  await ask(conversation, "What color?");
  conversation.attach(DOG);
  await ask(conversation, "And now?");
  expect(script.asked).toEqual([
    { temperature: 0, prompt: [{ role: "user", text: "<image>\nWhat color?" }], images: [CAT] },
    {
      temperature: 0,
      prompt: [
        { role: "user", text: "<image>\nWhat color?" },
        { role: "assistant", text: "red" },
        { role: "user", text: "<image>\nAnd now?" },
      ],
      images: [CAT, DOG],
    },
  ]);
});

test("a question that places its images itself is left alone", async () => {
  const script = new Script([FINISHED]);
  const conversation = new Conversation(script, {});
  conversation.attach(CAT);
  conversation.attach(DOG);
  await ask(conversation, "Is <image> older than <image>?");
  expect(script.asked[0]?.prompt).toEqual([{ role: "user", text: "Is <image> older than <image>?" }]);
});

test("a turn that fails leaves no trace and keeps the images for the next try", async () => {
  const script = new Script([FAILED], [FINISHED]);
  const conversation = new Conversation(script, {});
  conversation.attach(CAT);
  await ask(conversation, "One?");
  await ask(conversation, "Two?");
  expect(script.asked[1]).toEqual({ prompt: [{ role: "user", text: "<image>\nTwo?" }], images: [CAT] });
});

test("an answer stopped half-way stays as far as it came", async () => {
  const script = new Script([says("Once upon"), FAILED], [FINISHED]);
  const conversation = new Conversation(script, {});
  await ask(conversation, "Tell.", AbortSignal.abort());
  await ask(conversation, "Go on.");
  expect(script.asked[1]?.prompt).toEqual([
    { role: "user", text: "Tell." },
    { role: "assistant", text: "Once upon" },
    { role: "user", text: "Go on." },
  ]);
});

test("an answer without a word is not remembered", async () => {
  const script = new Script([says(" "), FINISHED], [FINISHED]);
  const conversation = new Conversation(script, {});
  await ask(conversation, "One?");
  await ask(conversation, "Two?");
  expect(script.asked[1]?.prompt).toEqual([{ role: "user", text: "Two?" }]);
});

test("reset forgets turns and images", async () => {
  const script = new Script([FINISHED], [FINISHED]);
  const conversation = new Conversation(script, {});
  conversation.attach(CAT);
  await ask(conversation, "One?");
  conversation.attach(DOG);
  conversation.reset();
  await ask(conversation, "Two?");
  expect(script.asked[1]).toEqual({ prompt: [{ role: "user", text: "Two?" }], images: [] });
});
