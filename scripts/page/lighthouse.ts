/**
 * Lighthouse on the page as it is served, with its defaults for a telephone: `npx node scripts/page/lighthouse.ts`. Starts the whole
 * service and a browser for it, prints the scores and ends with 1 when one is below its goal. Results depend on how busy the
 * machine is: up to three runs are made for the performance.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import lighthouse from "lighthouse";
import { CHROMIUM } from "./chromium.ts";

const ROOT = path.join(import.meta.dirname, "../..");
const PAGES = ["/", "/compare", "/cluster"];
const GOALS = { performance: 95, accessibility: 100, "best-practices": 100 } as const;
const RUNS = 3;
const START_TIMEOUT_MS = 15_000;

type Category = keyof typeof GOALS;
const CATEGORIES = Object.keys(GOALS) as readonly Category[];
type Scores = Record<Category, number>;

const folder = await mkdtemp(path.join(tmpdir(), "llava-lighthouse-"));
const service = startService();
const port = await freePort();
const browser = startBrowser(port);
let isGood = true;
try {
  const url = await readyUrl(service);
  await untilListening(port);
  for (const page of PAGES) {
    const scores = await bestOf(url + page, port);
    const shown = Object.entries(scores).map(([name, score]) => `${name} ${score}`);
    console.log(`${page.padEnd(10)} ${shown.join(", ")}`);
    isGood &&= CATEGORIES.every((name) => scores[name] >= GOALS[name]);
  }
} finally {
  await Promise.all([end(browser), end(service)]);
  await rm(folder, { recursive: true, force: true });
}
if (!isGood) {
  console.error(`The goals are ${JSON.stringify(GOALS)}.`);
  process.exit(1);
}

async function bestOf(url: string, debuggingPort: number): Promise<Scores> {
  const runs: Scores[] = [];
  for (let i = 0; i < RUNS; i++) {
    const scores = await measure(url, debuggingPort);
    runs.push(scores);
    if (scores.performance >= GOALS.performance) break;
  }
  const best = (name: Category): number => Math.max(...runs.map((scores) => scores[name]));
  const least = (name: Category): number => Math.min(...runs.map((scores) => scores[name]));
  // What is no matter of time must be right each time.
  return {
    performance: best("performance"),
    accessibility: least("accessibility"),
    "best-practices": least("best-practices"),
  };
}

async function measure(url: string, debuggingPort: number): Promise<Scores> {
  const onlyCategories = [...CATEGORIES];
  const result = await lighthouse(url, {
    port: debuggingPort,
    onlyCategories,
    logLevel: "error",
    // The page's stream of events has no end.
    maxWaitForLoad: START_TIMEOUT_MS,
  });
  if (result === undefined) throw new Error(`Lighthouse said nothing of ${url}.`);
  const { categories, audits } = result.lhr;
  for (const name of CATEGORIES) {
    for (const { id, weight } of categories[name]?.auditRefs ?? []) {
      const audit = audits[id];
      if (weight > 0 && audit?.score !== null && audit !== undefined && 100 * audit.score < GOALS[name])
        console.log(`  ${name}: ${audit.title} ${audit.displayValue ?? ""}`);
    }
  }
  const score = (name: Category): number => Math.round(100 * (categories[name]?.score ?? 0));
  return {
    performance: score("performance"),
    accessibility: score("accessibility"),
    "best-practices": score("best-practices"),
  };
}

function startService(): ChildProcess {
  const ports = ["--port", "0", "--controller-port", "0", "--worker-port", "0"];
  return spawn(process.execPath, [path.join(ROOT, "apps/cli/src/main.ts"), "serve", ...ports], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

function startBrowser(debuggingPort: number): ChildProcess {
  const flags = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    `--user-data-dir=${folder}`,
    `--remote-debugging-port=${debuggingPort}`,
    "about:blank",
  ];
  return spawn(CHROMIUM, flags, { stdio: "ignore" });
}

async function readyUrl({ stdout }: ChildProcess): Promise<string> {
  let said = "";
  for await (const text of stdout ?? []) {
    said += String(text);
    const found = /open (http\S+)/.exec(said)?.[1];
    if (found !== undefined) return found.replace(/\/$/, "");
  }
  throw new Error("llava serve ended before it was ready.");
}

async function untilListening(debuggingPort: number): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const response = await fetch(`http://127.0.0.1:${debuggingPort}/json/version`).catch(() => null);
    if (response?.ok) return;
    await sleep(100);
  }
  throw new Error(`The browser ${CHROMIUM} does not listen for Lighthouse.`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  server.close();
  if (bound === null || typeof bound === "string") throw new Error("There is no free port.");
  return bound.port;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}
