/** Describes what clients and the watcher saw in a run, and checks what must hold whatever failed meanwhile. */

/** One request of a client. Times are milliseconds of one monotonic clock. */
export interface Asked {
  readonly startMs: number;
  readonly endMs: number;
  readonly way: "relayed" | "direct";
  /** The index of the question, whose undisturbed answer is known. */
  readonly question: number;
  readonly text: string;
  readonly ending: Ending;
  /** Whether the answer had a Retry-After, as refusals must. */
  readonly hasRetryAfter: boolean;
  /** The terminal events that came; more than one is a fault. */
  readonly numTerminals: number;
}

/**
 * `whole` with its reason · `error` with an event, or a connection that broke · `refused` with a status · `left` by the
 * client itself.
 */
export type Ending =
  | { readonly kind: "whole"; readonly reason: string }
  | { readonly kind: "error"; readonly code: string }
  | { readonly kind: "refused"; readonly status: number }
  | { readonly kind: "left" };

/** An address that the controller gave to a client that asked for a worker. */
export interface Routed {
  readonly atMs: number;
  readonly address: string;
}

/** A time in which a worker had no process. One that ended in order deregistered before `fromMs`. */
export interface Absence {
  readonly address: string;
  readonly fromMs: number;
  /** The end; Infinity when there was none. */
  readonly toMs: number;
  /** Whether the process ended in order. */
  readonly isInOrder: boolean;
}

export interface History {
  readonly asked: readonly Asked[];
  readonly routed: readonly Routed[];
  readonly absences: readonly Absence[];
  /** The undisturbed answer of each question. */
  readonly answers: readonly string[];
}

export interface Rules {
  /** The longest time that a request may take. */
  readonly deadlineMs: number;
  /** The silence after which the controller drops a worker, and the time between two sweeps. */
  readonly expiryMs: number;
  /** The statuses that a refusal may have. */
  readonly statuses: ReadonlySet<number>;
}

/** The result of checking one invariant. */
export interface Verdict {
  readonly name: string;
  readonly rule: string;
  readonly checked: number;
  readonly faults: readonly string[];
}

/** Checks the invariants for which the history is enough. */
export function judge(history: History, rules: Rules): readonly Verdict[] {
  const { asked, routed } = history;
  return [
    verdict("I1", "each request has one end, in time", asked, (request) => endFault(request, rules)),
    verdict(
      "I2 I3",
      "texts are those of the undisturbed answer, without gap or repetition",
      asked,
      (request) => textFault(request, history.answers),
    ),
    verdict("I4 I5", "no request is sent to a worker that is dead or has deregistered", routed, (route) =>
      routeFault(route, history.absences, rules),
    ),
    verdict("I9", "each 429 and 503 has a Retry-After", asked.filter(isShed), (request) =>
      request.hasRetryAfter ? null : `${nameOf(request)}: no Retry-After`,
    ),
  ];
}

export function verdict<T>(
  name: string,
  rule: string,
  items: readonly T[],
  faultOf: (item: T) => string | null,
): Verdict {
  const faults = items.map(faultOf).filter((fault) => fault !== null);
  return { name, rule, checked: items.length, faults };
}

function endFault(request: Asked, { deadlineMs, statuses }: Rules): string | null {
  const { ending, startMs, endMs, numTerminals } = request;
  if (endMs - startMs > deadlineMs)
    return `${nameOf(request)}: ended after ${Math.round(endMs - startMs)} ms`;
  if (numTerminals > 1) return `${nameOf(request)}: ended ${numTerminals} times`;
  if (ending.kind !== "refused" || statuses.has(ending.status)) return null;
  return `${nameOf(request)}: refused with ${ending.status}`;
}

function textFault(request: Asked, answers: readonly string[]): string | null {
  const { text, ending, question } = request;
  const whole = answers[question] ?? "";
  const isRight = ending.kind === "whole" ? text === whole : whole.startsWith(text);
  if (isRight) return null;
  let common = 0;
  while (common < text.length && text[common] === whole[common]) common += 1;
  const near = (one: string): string => JSON.stringify(one.slice(Math.max(0, common - 10), common + 20));
  return `${nameOf(request)}: after ${common} characters ${near(text)} instead of ${near(whole)}`;
}

function routeFault(
  { atMs, address }: Routed,
  absences: readonly Absence[],
  { expiryMs }: Rules,
): string | null {
  const absence = absences.find(
    (away) =>
      away.address === address && atMs > away.fromMs + (away.isInOrder ? 0 : expiryMs) && atMs < away.toMs,
  );
  if (absence === undefined) return null;
  return `${address} was named ${Math.round(atMs - absence.fromMs)} ms after its ${absence.isInOrder ? "deregistration" : "death"}`;
}

function isShed({ ending }: Asked): boolean {
  return ending.kind === "refused" && (ending.status === 429 || ending.status === 503);
}

function nameOf({ way, question, startMs, ending }: Asked): string {
  const how = Object.values(ending).join(" ");
  return `${way} question ${question} at ${Math.round(startMs)} ms (${how})`;
}
