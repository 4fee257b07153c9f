/** Clients that leave at random moments, by the hundred, and what is left of them in the servers. */
import { ask, type Question } from "./ask.ts";
import { checkEmpty } from "./closing.ts";
import { CONCURRENCY, type Fleet } from "./fleet.ts";
import type { Verdict } from "./history.ts";
import { footprint, type Footprint } from "./program.ts";
import { seeded, wholeFrom } from "./random.ts";

export interface Storm {
  /** How many left, were answered whole, were refused, or heard of a failure. */
  readonly endings: ReadonlyMap<string, number>;
  /** By process, after each tenth of the streams. */
  readonly footprints: ReadonlyMap<string, readonly Footprint[]>;
  /** Queues, slots, permits and leases. */
  readonly empty: Verdict;
}

/** At once: as many as run, and some that wait. */
const NUM_CLIENTS = 3 * CONCURRENCY;
/** Drawn so hot that it is long. */
const QUESTION: Question = { text: "Tell me a story.", seed: 1, maxTokens: 200 };
const SAMPLES = 10;

export async function storm(fleet: Fleet, numStreams: number, seed: number): Promise<Storm> {
  const random = seeded(seed);
  const endings = new Map<string, number>();
  const footprints = new Map<string, Footprint[]>();
  const every = Math.max(1, Math.floor(numStreams / SAMPLES));
  let numBegun = 0;
  let numEnded = 0;
  const target = { url: fleet.controller.address, key: fleet.key, way: "relayed" } as const;
  const client = async (): Promise<void> => {
    while (numBegun < numStreams) {
      numBegun += 1;
      // By words or by time, so that some leave before the first byte, and some while they wait.
      const leave =
        random() < 0.5
          ? { leaveAfter: wholeFrom(random, 1, 40) }
          : { leaveAfter: null, leaveAfterMs: wholeFrom(random, 0, 600) };
      const manner = { isStream: random() < 0.9, pauseMs: 0, patienceMs: 60_000, ...leave };
      const { ending } = await ask(target, QUESTION, 0, manner);
      const name = Object.values(ending).join(" ");
      endings.set(name, (endings.get(name) ?? 0) + 1);
      numEnded += 1;
      if (numEnded % every === 0) note(fleet, footprints);
    }
  };
  await Promise.all(Array.from({ length: NUM_CLIENTS }, client));
  const empty = await checkEmpty(fleet);
  return { endings, footprints, empty };
}

function note(fleet: Fleet, footprints: Map<string, Footprint[]>): void {
  for (const { program } of [fleet.controller, ...fleet.workers]) {
    const now = footprint(program);
    if (now === null) continue;
    const name = `${program.name} ${program.child.pid}`;
    footprints.set(name, [...(footprints.get(name) ?? []), now]);
  }
}
