/**
 * Injects every fault that processes and proxies allow into a controller and its workers, while clients ask, and checks the
 * invariants on what happened: `npm run soak -- --minutes 10`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ask, type Question } from "./history/recorded-ask.ts";
import { startCanary } from "./fleet/canary.ts";
import { checkEmpty, checkFootprints, checkPrograms, checkReturn, describe } from "./history/closing.ts";
import { checkCounts } from "./history/metrics-counting.ts";
import { CONCURRENCY, EXPIRY_MS, startFleet, type Fleet } from "./fleet/proxied-fleet.ts";
import { judge, verdict, type Asked, type Verdict } from "./history/history.ts";
import { FAULTS, type FaultRun } from "./nemesis.ts";
import { machineLine, writeSection } from "./faults-readme.ts";
import { footprint, type Footprint } from "./fleet/server-program.ts";
import { oneOf, seeded, wholeFrom } from "../support/seeded-random.ts";
import { watch, type Watch } from "./history/watcher.ts";
import { refuse, wholeNumber } from "../support/script-flags.ts";

const HELP = `npm run soak -- [flags]

  --minutes <number>   how long faults happen (default: 10)
  --seed <number>      of the faults and their times (default: drawn; a run prints its own)
  --workers <number>   how many workers there are (default: 2)
  --clients <number>   how many clients ask at the same time (default: 4)
  --write              put the summary into scripts/faults/README.md`;

/** A word that is in every question, and must be in no log. */
const SECRET = "violet-elephant";
/** The questions; those with a seed are sampled at so high a temperature that the model's answers become long. */
const QUESTIONS: readonly Question[] = [
  { text: `What is a ${SECRET}?`, seed: null, maxTokens: 100 },
  { text: `Tell me a story of a ${SECRET}.`, seed: 1, maxTokens: 200 },
  { text: `${SECRET}: how many squares are there?`, seed: 2, maxTokens: 200 },
  { text: `Hello, ${SECRET}!`, seed: 3, maxTokens: 100 },
];
/** The longest time of a request: longer than the controller waits for a silent worker twice, and for a worker with room. */
const DEADLINE_MS = 100_000;
/** The time of a sweep, and of a report that was on its way when its worker died. */
const EXPIRY_SLACK_MS = 2_500;
/** The statuses that refusals may have. */
const STATUSES: ReadonlySet<number> = new Set([429, 502, 503]);
const MAX_SHOWN = 5;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    workers: { type: "string", default: "2" },
    clients: { type: "string", default: "4" },
    write: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) console.log(HELP);
// Without `exit` Node 24 sometimes loops for ever while it closes reset connections, after everything else has ended.
else process.exit((await soak()) ? 0 : 1);

async function soak(): Promise<boolean> {
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= 1440))
    refuse(`--minutes is "${values.minutes}"; it must be above 0, up to 1440.`);
  const seed = wholeNumber("--seed", values.seed, [0, 2 ** 31]);
  const numClients = wholeNumber("--clients", values.clients, [1, 64]);
  console.log(`seed ${seed}`);
  await using fleet = await startFleet(wholeNumber("--workers", values.workers, [1, 8]), seed, [SECRET]);
  const answers = await undisturbedAnswers(fleet);
  const baseline = footprints(fleet);
  const scene: FaultRun = {
    fleet,
    random: seeded(seed),
    questions: QUESTIONS,
    absences: [],
    asked: [],
    toldToEnd: new Set(),
    stopped: new Set(),
  };
  await using canary = await startCanary();
  const watching = watch(
    fleet,
    canary,
    ({ program }) => !scene.toldToEnd.has(program) && !scene.stopped.has(program),
  );
  const untilMs = performance.now() + minutes * 60_000;
  let isOver = false;
  const clients = Array.from({ length: numClients }, (_, index) =>
    runClient(scene, seed + index, () => isOver),
  );
  const happened = await breakThings(scene, untilMs);
  log("nothing is broken any more");
  const [question = refuse("There is no question."), answer = ""] = [QUESTIONS[0], answers[0]];
  const returned = await checkReturn(fleet, question, answer);
  log("all workers are asked again");
  isOver = true;
  await Promise.all(clients);
  log("the last client was answered");
  await watching.end();
  const verdicts = [
    ...judge(
      { asked: scene.asked, routed: watching.routed, absences: scene.absences, answers },
      { deadlineMs: DEADLINE_MS, expiryMs: EXPIRY_MS + EXPIRY_SLACK_MS, statuses: STATUSES },
    ),
    ...watchedVerdicts(watching),
    await checkEmpty(fleet),
    returned,
    checkFootprints(fleet, baseline),
    // After the footprints: it opens connections that are kept for a while.
    await checkCounts(fleet, question),
    ...(await checkPrograms(fleet.programs, scene.toldToEnd)),
  ];
  const lines = report(scene, happened, verdicts);
  for (const { program } of [fleet.controller, ...fleet.workers]) {
    const now = footprint(program);
    if (now !== null) lines.push(`${program.name.padEnd(12)}${describe(now)}`);
  }
  console.log(`\n${lines.join("\n")}`);
  if (values.write) await writeSection("soak", section(minutes, seed, lines));
  return verdicts.every(({ faults }) => faults.length === 0);
}

/** The answers of each worker before the first fault, which must be equal, or nothing can be compared. */
async function undisturbedAnswers({ workers, key }: Fleet): Promise<readonly string[]> {
  const behavior = { isStream: true, leaveAfter: null, pauseMs: 0, timeoutMs: DEADLINE_MS };
  const all = await Promise.all(
    workers.map(async ({ address }) => {
      const texts: string[] = [];
      for (const [index, question] of QUESTIONS.entries()) {
        const target = { url: address, key, way: "direct" } as const;
        const asked = await ask(target, question, index, behavior);
        if (asked.ending.kind !== "whole")
          throw new Error(`A worker did not answer: ${JSON.stringify(asked)}`);
        texts.push(asked.text);
      }
      return texts;
    }),
  );
  const [first = []] = all;
  if (all.some((texts) => texts.join("\0") !== first.join("\0")))
    throw new Error("Workers answer differently.");
  return first;
}

function footprints(fleet: Fleet): ReadonlyMap<string, Footprint> {
  const found = new Map<string, Footprint>();
  for (const { program } of [fleet.controller, ...fleet.workers]) {
    const now = footprint(program);
    if (now !== null) found.set(program.name, now);
  }
  return found;
}

/** @returns how often each fault happened */
async function breakThings(scene: FaultRun, untilMs: number): Promise<ReadonlyMap<string, number>> {
  const happened = new Map<string, number>();
  // Each fault once in a random order, then again in another one, so that a short run leaves none out for long.
  let waiting = [...FAULTS];
  while (performance.now() < untilMs) {
    if (waiting.length === 0) waiting = [...FAULTS];
    const fault = oneOf(scene.random, waiting);
    waiting.splice(waiting.indexOf(fault), 1);
    log(fault.name);
    await fault.happen(scene);
    happened.set(fault.name, (happened.get(fault.name) ?? 0) + 1);
    await sleep(wholeFrom(scene.random, 200, 2_500));
  }
  return happened;
}

/** Asks until the run is over, as a person does: mostly to the end, sometimes slowly, and sometimes leaving early. */
async function runClient(
  { fleet, questions, asked }: FaultRun,
  seed: number,
  isOver: () => boolean,
): Promise<void> {
  const random = seeded(seed);
  while (!isOver()) {
    const isDirect = random() < 0.2;
    const { url } = isDirect ? oneOf(random, fleet.workers).proxy : fleet.controller.proxy;
    const index = Math.floor(random() * questions.length);
    const question = oneOf(random, questions.slice(index, index + 1));
    const behavior = {
      isStream: random() < 0.85,
      leaveAfter: random() < 0.2 ? wholeFrom(random, 1, 30) : null,
      pauseMs: random() < 0.1 ? wholeFrom(random, 100, 2_000) : 0,
      timeoutMs: DEADLINE_MS + 10_000,
    };
    const target = { url, key: fleet.key, way: isDirect ? "direct" : "relayed" } as const;
    const request = await ask(target, question, index, behavior);
    asked.push(request);
    if (request.ending.kind !== "whole") await sleep(wholeFrom(random, 50, 500));
  }
}

function watchedVerdicts({ looks }: Watch): readonly Verdict[] {
  const rules = {
    I6: `no worker ever runs more than ${CONCURRENCY}`,
    I7: "no call without a key is ever let in",
    I8: "no server calls an address that a client names",
    I13: "/health answers as long as the process is well",
  } as const;
  return (["I6", "I7", "I8", "I13"] as const).map((name) =>
    verdict(
      name,
      rules[name],
      looks.filter(({ rule }) => rule === name),
      ({ fault }) => fault,
    ),
  );
}

/** The lines of the report: the requests, the faults and the invariants. */
function report(
  { asked }: FaultRun,
  happened: ReadonlyMap<string, number>,
  verdicts: readonly Verdict[],
): string[] {
  const lines = [`${asked.length} requests: ${tally(asked)}`, ""];
  const longest = asked.toSorted((a, b) => b.endMs - b.startMs - (a.endMs - a.startMs)).slice(0, 3);
  for (const { startMs, endMs, way, ending } of longest) {
    const seconds = ((endMs - startMs) / 1000).toFixed(1);
    lines.push(`longest: ${seconds} s, ${way}, ${Object.values(ending).join(" ")}`);
  }
  lines.push("");
  for (const [name, number] of [...happened].toSorted(([a], [b]) => a.localeCompare(b)))
    lines.push(`${String(number).padStart(4)} × ${name}`);
  lines.push("");
  for (const { name, rule, checked, faults } of verdicts) {
    const outcome = faults.length === 0 ? "holds" : `BROKEN ${faults.length} ×`;
    lines.push(`${name.padEnd(6)} ${outcome.padEnd(12)} ${String(checked).padStart(6)} checked  ${rule}`);
    for (const fault of faults.slice(0, MAX_SHOWN)) lines.push(`         ${fault}`);
  }
  lines.push("");
  return lines;
}

function section(minutes: number, seed: number, lines: readonly string[]): string {
  return `## All of them, mixed for ${minutes} minutes

\`npm run soak -- --minutes ${minutes} --seed ${seed}\`, last on ${machineLine()}. The invariants are those of
\`scripts/faults/history\`: history.ts, watcher.ts and closing.ts.

\`\`\`
${lines.join("\n")}
\`\`\``;
}

/** Prints a line with the time, so that a run that hangs shows where. */
function log(line: string): void {
  console.log(`${new Date().toISOString()}  ${line}`);
}

function tally(asked: readonly Asked[]): string {
  const counts = new Map<string, number>();
  for (const { ending } of asked) {
    const name = Object.values(ending).join(" ");
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, number]) => `${number} ${name}`)
    .join(", ");
}
