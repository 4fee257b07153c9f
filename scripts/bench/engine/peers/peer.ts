/**
 * What each program that is compared can be asked, and the loop of the process it runs in. Orders come as lines of JSON
 * on standard input, answers leave as lines of JSON on file descriptor 3: libraries write what they like elsewhere.
 */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";

export type Order =
  /** A prompt that shares nothing with one before. */
  | { readonly measure: "prompt"; readonly tokens: number }
  /** Answers side by side, each of so many tokens. */
  | { readonly measure: "decode"; readonly streams: number; readonly tokens: number }
  /** Two questions on an image that was not seen before. */
  | { readonly measure: "image" };

/** Figures by name; times are in milliseconds. */
export type Figures = Readonly<Record<string, number>>;

export interface Peer extends AsyncDisposable {
  measure(order: Order): Promise<Figures>;
}

/** The first answer has `loadMs`; then one for each order, in turn. Ends when standard input does. */
export async function servePeer(load: () => Promise<Peer>): Promise<void> {
  const startedAt = performance.now();
  await using peer = await load();
  answer({ loadMs: performance.now() - startedAt });
  for await (const line of createInterface({ input: process.stdin })) {
    // The parent is this repository's, and of the same version.
    const order = JSON.parse(line) as Order;
    try {
      answer(await peer.measure(order));
    } catch (error) {
      answer({ error: error instanceof Error ? error.message : String(error) });
    }
  }
}

const ANSWERS = 3;

function answer(value: Figures | { readonly error: string }): void {
  writeSync(ANSWERS, `${JSON.stringify(value)}\n`);
}
