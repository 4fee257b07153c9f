/** Asks several programs for the same things in turns: what the machine does meanwhile meets all of them alike. */
import { median } from "../results/bench-row.ts";
import type { Figures, Order } from "./peers/peer.ts";
import type { Memory, PeerProcess } from "./peers/peer-process.ts";
import { askQuietly, type Measured, MOST_FOREIGN } from "./quiet-machine.ts";

export interface ContestOptions {
  readonly rounds: number;
  readonly promptTokens: number;
  /** Numbers of answers side by side. */
  readonly streams: readonly number[];
  readonly answerTokens: number;
  readonly asksImages: boolean;
  /** How long a measurement waits for other programs to rest. */
  readonly quietTimeoutS: number;
}

/** All values of one figure, one for each round; null where others disturbed it, or where it was not measured. */
export interface Sample {
  readonly peer: string;
  readonly figure: string;
  readonly unit: string;
  /** False: less is better. */
  readonly isRate: boolean;
  readonly values: readonly (number | null)[];
}

/** What a program takes by itself. */
export interface Upkeep extends Partial<Memory> {
  readonly peer: string;
  readonly loadMs: number;
  /** Percent of a core while nothing is asked, just after work. */
  readonly idleCpu?: number;
}

const IDLE_SECONDS = 3;

export interface Contest {
  /** What other programs took of the machine during what counts, 0 to 1: in the middle, and at worst. */
  readonly foreign: { readonly median: number; readonly most: number } | null;
  readonly samples: readonly Sample[];
  readonly upkeep: readonly Upkeep[];
}

/** Yields the figures after each round, so that a run may be ended early. `report` gets a line for each step. */
export async function* holdContest(
  peers: readonly PeerProcess[],
  options: ContestOptions,
  report: (line: string) => void,
): AsyncGenerator<Contest, void, void> {
  const board = new Board(options.rounds);
  const orders = ordersOf(options);
  const upkeep: Upkeep[] = [];
  for (const peer of peers) {
    report(`${peer.name}: warming up`);
    for (const order of orders) await warmUp(peer, order, board);
    const idleCpu = await peer.idleCpu(IDLE_SECONDS);
    const { name, loadMs } = peer;
    upkeep.push({
      peer: name,
      loadMs,
      ...(idleCpu === undefined ? {} : { idleCpu }),
      ...(await peer.memory()),
    });
  }
  for (let round = 0; round < options.rounds; round++) {
    for (const order of orders) {
      for (const peer of peers.filter(({ name }) => board.can(name, order))) {
        const measured = await askQuietly(peer, order, options.quietTimeoutS);
        board.note(peer.name, order, round, measured);
        report(lineOf(round, order, peer.name, measured));
      }
    }
    yield { ...board.contest(), upkeep };
  }
}

function lineOf(round: number, order: Order, peer: string, { figures, foreign }: Measured): string {
  const texts = readings(order, figures).map(
    ({ figure, value, unit }) => `${figure} ${value.toFixed(1)} ${unit}`,
  );
  return `${round + 1}. ${peer}: ${texts.join(", ")} (others ${(100 * foreign).toFixed(0)} %)`;
}

function ordersOf({ promptTokens, streams, answerTokens, asksImages }: ContestOptions): Order[] {
  return [
    { measure: "prompt", tokens: promptTokens },
    ...streams.map((count): Order => ({ measure: "decode", streams: count, tokens: answerTokens })),
    ...(asksImages ? [{ measure: "image" } as const] : []),
  ];
}

/** Buffers grow, processes for images start, pages are read: once, and short. Not every program takes images. */
async function warmUp(peer: PeerProcess, order: Order, board: Board): Promise<void> {
  try {
    await peer.ask(shortened(order));
  } catch (error) {
    if (order.measure !== "image") throw error;
    board.excuse(peer.name, order);
  }
}

function shortened(order: Order): Order {
  switch (order.measure) {
    case "prompt":
      return { ...order, tokens: Math.min(64, order.tokens) };
    case "decode":
      return { ...order, tokens: Math.min(2 + 2 * order.streams, order.tokens) };
    case "image":
      return order;
  }
}

interface Entry extends Omit<Sample, "values"> {
  readonly values: ({ readonly value: number; readonly foreign: number } | null)[];
}

class Board {
  readonly #rounds: number;
  readonly #entries = new Map<string, Entry>();
  /** The measurements that a peer cannot make. */
  readonly #excused = new Set<string>();

  constructor(rounds: number) {
    this.#rounds = rounds;
  }

  excuse(peer: string, { measure }: Order): void {
    this.#excused.add(`${measure}\0${peer}`);
  }

  can(peer: string, { measure }: Order): boolean {
    return !this.#excused.has(`${measure}\0${peer}`);
  }

  note(peer: string, order: Order, round: number, { figures, foreign }: Measured): void {
    for (const { figure, unit, isRate, value } of readings(order, figures)) {
      const key = `${figure}\0${peer}`;
      const known = this.#entries.get(key);
      const values = known?.values ?? Array.from({ length: this.#rounds }, () => null);
      values[round] = { value, foreign };
      if (!known) this.#entries.set(key, { peer, figure, unit, isRate, values });
    }
  }

  /** Disturbed measurements do not count, unless a figure has no others: then the least disturbed one does. */
  contest(): Pick<Contest, "foreign" | "samples"> {
    const shares: number[] = [];
    const samples = [...this.#entries.values()].map((entry) => {
      const found = entry.values.flatMap((value) => (value ? [value.foreign] : []));
      const most = Math.max(MOST_FOREIGN, Math.min(...found));
      const kept = entry.values.map((value) => (value && !(value.foreign > most) ? value : null));
      shares.push(...kept.flatMap((value) => (value ? [value.foreign] : [])));
      return { ...entry, values: kept.map((value) => value && value.value) };
    });
    const known = shares.filter((share) => !Number.isNaN(share));
    const foreign = known.length === 0 ? null : { median: median(known), most: Math.max(...known) };
    return { foreign, samples };
  }
}

interface Reading {
  readonly figure: string;
  readonly unit: string;
  readonly isRate: boolean;
  readonly value: number;
}

function readings(order: Order, figures: Figures): Reading[] {
  const time = (figure: string, value: number | undefined): Reading[] =>
    value === undefined ? [] : [{ figure, unit: "ms", isRate: false, value }];
  const { tokens = Number.NaN, ms = Number.NaN, outsideMs, encodeMs, firstMs, secondMs } = figures;
  const rate = (figure: string): Reading => ({
    figure,
    unit: "tokens/s",
    isRate: true,
    value: (1000 * tokens) / ms,
  });
  switch (order.measure) {
    case "prompt":
      return [rate(`prompt of ${order.tokens}`)];
    case "decode": {
      const streams = order.streams === 1 ? "1 stream" : `${order.streams} streams`;
      return [rate(`decode, ${streams}`), ...time(`a step outside of ONNX Runtime, ${streams}`, outsideMs)];
    }
    case "image": {
      const share = firstMs === undefined || secondMs === undefined ? undefined : (100 * secondMs) / firstMs;
      return [
        ...time("encoding an image", encodeMs),
        ...time("first token, first question on an image", firstMs),
        ...time("first token, second question on it", secondMs),
        ...time("the second of the first", share).map((reading) => ({ ...reading, unit: "%" })),
      ];
    }
  }
}
