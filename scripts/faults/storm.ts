/** Clients that leave at random moments, by the hundred, and what is left of them in the servers. */
import { ask, type Question } from "./history/recorded-ask.ts";
import { checkEmpty } from "./history/closing.ts";
import { CONCURRENCY, type Fleet } from "./fleet/proxied-fleet.ts";
import type { Verdict } from "./history/history.ts";
import { footprint, kept, type Footprint, type Kept } from "./fleet/server-program.ts";
import { seeded, wholeFrom } from "./fleet/seeded-random.ts";

/** What a process holds. */
export type Holding = Footprint & Kept;

export interface Storm {
  /** How many left, were answered whole, were refused, or heard of a failure. */
  readonly endings: ReadonlyMap<string, number>;
  /** Streams whose clients were to leave after a word that the answer has: on a machine of any speed they do, if let in. */
  readonly numByWords: number;
  /** By process, after each tenth of the streams, when nobody asks and after a collection. */
  readonly holdings: ReadonlyMap<string, readonly Holding[]>;
  /** Queues, slots, permits and leases. */
  readonly empty: Verdict;
}

/** At once: as many as run, and some that wait. */
const NUM_CLIENTS = 3 * CONCURRENCY;
/** Drawn so hot that it is long, far beyond `MOST_WORDS`. */
const QUESTION: Question = { text: "Tell me a story.", seed: 1, maxTokens: 200 };
/** After so many words, or so much time, whichever was drawn: some leave before the first byte, and some while they wait. */
const MOST_WORDS = 8;
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
      const manner = { isStream, pauseMs: 0, patienceMs: 60_000, ...leave };
      const { ending } = await ask(target, QUESTION, 0, manner);
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
    const inUse = await kept(program);
    const now = footprint(program);
    if (now === null) continue;
    const name = `${program.name} ${program.child.pid}`;
    holdings.set(name, [...(holdings.get(name) ?? []), { ...now, ...inUse }]);
  }
}
