/** Answers one request several times as one stream: the choices take one place in the queue and end together. */
import type { AdmissionQueue, ChoiceEvent } from "@llava/backend";
import { cancelled, requestError } from "./engine-error.ts";
import { interleave } from "./interleave.ts";
import type { EngineEvent, GenerateRequest } from "./request.ts";

/** Never empty. */
export type Choices = readonly [GenerateRequest, ...GenerateRequest[]];

/** The events of one answer, in a queue that fills whether they are read or not. */
interface Answer {
  readonly events: AsyncIterable<EngineEvent> & { readonly closed: Promise<void> };
}

interface AnswerOptions {
  readonly queue: AdmissionQueue;
  /** Its signal is that of all choices; it is aborted when one of them fails. */
  readonly stop: AbortController;
  /** Prepares a request and gives it to the engine's loop. */
  readonly start: (request: GenerateRequest, arrivedAt: number) => Promise<Answer>;
}

/** The request as often as it is wanted. The first one alone reports its progress: the others compute no prompt. */
export function choicesOf(request: GenerateRequest, numChoices: number): Choices {
  const { onQueued: _queued, onAdmitted: _admitted, onPrefill: _prefill, ...rest } = request;
  const others = Array.from({ length: numChoices - 1 }, (_, i) => ({
    ...rest,
    ...(request.seed === undefined ? {} : { seed: request.seed + i + 1 }),
  }));
  return [request, ...others];
}

/** The events of all choices, from the wait in the queue to their ends; an error of one ends all. Throws what fails before. */
export async function* answerChoices(
  requests: Choices,
  { queue, stop, start }: AnswerOptions,
): AsyncGenerator<ChoiceEvent, void, void> {
  const arrivedAt = performance.now();
  stop.signal.throwIfAborted();
  // Without an await where a permit is free, so that the request is counted as waiting from the first read on.
  using permit = queue.tryAcquire() ?? (await queue.acquire(stop.signal, requests[0]));
  requests[0].onAdmitted?.();
  let numUnfinished = requests.length;
  const onComputed = (): void => {
    numUnfinished -= 1;
    if (numUnfinished === 0) permit[Symbol.dispose]();
  };
  const answer = async function* (request: GenerateRequest, index: number): AsyncGenerator<EngineEvent> {
    // Choices after the first arrive when that one has begun.
    const starting = start(request, index === 0 ? arrivedAt : performance.now());
    const { events } = await starting.catch((error: unknown) => {
      // The other choices would be computed until their next event, for which one without a slot may wait long.
      stop.abort(requestError(error, stop.signal));
      throw error;
    });
    // The permit is free when all is computed: a reader that is slower than the model must not hold it.
    void events.closed.then(onComputed);
    yield* events;
  };
  for await (const { index, value: event } of interleave(requests.map(answer))) {
    if (event.type === "error") stop.abort(event.error);
    yield { index, event };
    if (event.type === "error") return;
  }
}

/** Aborts `stop` when the reader stops: by itself a generator returns only after the event that its reader waits for. */
export function stoppable<T>(
  events: AsyncGenerator<T, void, void>,
  stop: AbortController,
): AsyncIterableIterator<T, void, void> {
  return {
    next: async () => await events.next(),
    return: async () => {
      stop.abort(cancelled());
      return await events.return();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** The events of a stream of one choice. */
export function singleChoice(
  choices: AsyncIterableIterator<ChoiceEvent, void, void>,
): AsyncIterableIterator<EngineEvent, void, void> {
  return {
    next: async () => {
      const next = await choices.next();
      return next.done === true ? next : { value: next.value.event };
    },
    return: async () => {
      await choices.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
