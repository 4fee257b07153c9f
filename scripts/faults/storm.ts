/** Runs hundreds of clients that leave at random moments, and measures what the servers keep of them. */
import { ask, type Question } from "./history/recorded-ask.ts";
import { checkEmpty } from "./history/closing.ts";
import { CONCURRENCY, type Fleet } from "./fleet/proxied-fleet.ts";
import type { Verdict } from "./history/history.ts";
import { footprint, heapUseOf, type Footprint, type HeapUse } from "./fleet/server-program.ts";
import { seeded, wholeFrom } from "../support/seeded-random.ts";

/** The memory and files of a process. */
export type Holding = Footprint & HeapUse;

export interface Storm {
  /** How many requests ended in each way: left, answered whole, refused, or failed. */
  readonly endings: ReadonlyMap<string, number>;
  /** The streams whose clients leave after a text that the answer has: they do on a machine of any speed, unless refused. */
  readonly numByWords: number;
  /** The memory and files of each process after each tenth of the streams, without requests and after a collection. */
  readonly holdings: ReadonlyMap<string, readonly Holding[]>;
  /** The check of queues, slots, permits and leases. */
  readonly empty: Verdict;
}

/** The clients at the same time: as many as run, and some that wait. */
const NUM_CLIENTS = 3 * CONCURRENCY;
/** A question that is sampled at so high a temperature that its answer is far longer than `MOST_WORDS`. */
const QUESTION: Question = { text: "Tell me a story.", seed: 1, maxTokens: 200 };
/** The most texts after which half of the clients leave. */
const MOST_WORDS = 8;
/** The longest time after which the other half leaves: some before the first byte, and some while they wait. */
const MOST_MS = 60;
const SAMPLES = 10;

export async function storm(fleet: Fleet, numStreams: number, seed: number): Promise<Storm> {
  const random = seeded(seed);
  const endings = new Map<string, number>();
  const holdings = new Map<string, Holding[]>();
  let numBegun = 0;
  let numOfPart = 0;
  let numByWords = 0;
  const target = { url: fleet.controller.address, key: fleet.key, way: "relayed" } as const;
  const client = async (): Promise<void> => {
    while (numBegun < numOfPart) {
      numBegun += 1;
      const isByWords = random() < 0.5;
      const leave = isByWords
        ? { leaveAfter: wholeFrom(random, 1, MOST_WORDS) }
        : { leaveAfter: null, leaveAfterMs: wholeFrom(random, 0, MOST_MS) };
      const isStream = random() < 0.9;
      if (isByWords && isStream) numByWords += 1;
      const behavior = { isStream, pauseMs: 0, timeoutMs: 60_000, ...leave };
      const { ending } = await ask(target, QUESTION, 0, behavior);
      const name = Object.values(ending).join(" ");
      endings.set(name, (endings.get(name) ?? 0) + 1);
    }
  };
  let empty = await checkEmpty(fleet);
  for (let part = 1; part <= SAMPLES && empty.faults.length === 0; part++) {
    numOfPart = Math.ceil((part * numStreams) / SAMPLES);
    await Promise.all(Array.from({ length: NUM_CLIENTS }, client));
    empty = await checkEmpty(fleet);
    await note(fleet, holdings);
  }
  return { endings, numByWords, holdings, empty };
}

async function note(fleet: Fleet, holdings: Map<string, Holding[]>): Promise<void> {
  for (const { program } of [fleet.controller, ...fleet.workers]) {
    const inUse = await heapUseOf(program);
    const now = footprint(program);
    if (now === null) continue;
    const name = `${program.name} ${program.child.pid}`;
    holdings.set(name, [...(holdings.get(name) ?? []), { ...now, ...inUse }]);
  }
}
