import { AdmissionQueue, type ChoiceEvent } from "@llava/backend";
import { LlavaError } from "@llava/protocol";
import { expect, test } from "vitest";
import { EventQueue } from "../scheduler/event-queue.ts";
import { answerChoices, type Choices, choicesOf } from "./answer-choices.ts";
import type { EngineEvent, GenerateRequest } from "./request.ts";

const REQUEST: GenerateRequest = { prompt: { text: "Why?" }, images: [], seed: 1 };
const FAILURE = new LlavaError("runtime_failure", "The card fell out.");
const DELTA: EngineEvent = { type: "text-delta", text: "a", tokens: [1] };

function threeChoices(): { readonly requests: Choices; readonly queue: AdmissionQueue } {
  return { requests: choicesOf(REQUEST, 3), queue: new AdmissionQueue({ concurrency: 1, maxWaiting: 0 }) };
}

/** The events of a choice that gives one item and then waits until its signal aborts. */
function waiting(signal: AbortSignal): { readonly events: EventQueue<EngineEvent> } {
  const events = new EventQueue<EngineEvent>();
  events.push(DELTA);
  signal.addEventListener("abort", () => events.close(), { once: true });
  return { events };
}

test("a choice that cannot be started ends the others at once, though they give no more events", async () => {
  const { requests, queue } = threeChoices();
  const stop = new AbortController();
  const start = async ({ seed }: GenerateRequest): Promise<{ readonly events: EventQueue<EngineEvent> }> => {
    if (seed === 3) throw FAILURE;
    return await Promise.resolve(waiting(stop.signal));
  };
  await expect(Array.fromAsync(answerChoices(requests, { queue, stop, start }))).rejects.toBe(FAILURE);
  expect(stop.signal.reason).toBe(FAILURE);
  expect(queue.running).toBe(0);
});

test("an error of one choice is the last event of all, though the others give no more events", async () => {
  const { requests, queue } = threeChoices();
  const stop = new AbortController();
  const start = async ({ seed }: GenerateRequest): Promise<{ readonly events: EventQueue<EngineEvent> }> => {
    const started = waiting(stop.signal);
    if (seed === 2) started.events.push({ type: "error", error: FAILURE });
    return await Promise.resolve(started);
  };
  const events: ChoiceEvent[] = await Array.fromAsync(answerChoices(requests, { queue, stop, start }));
  expect(events.at(-1)).toEqual({ index: 1, event: { type: "error", error: FAILURE } });
  expect(queue.running).toBe(0);
});
