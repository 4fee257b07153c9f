import { LlavaError, type WorkerView } from "@llava/protocol";
import { describe, expect, test } from "vitest";
import { checkClock, checkWorker, skewOf } from "./controller-checks.ts";
import { lineOf, wrong } from "./finding.ts";
import { checkMemory, checkNode } from "./machine-checks.ts";
import { durationOf, psTable } from "../ps-table.ts";
import { version } from "../../output/cli-version.ts";
import { DEMO_MODEL } from "../../options/default-model.ts";

const WORKER: WorkerView = {
  address: "http://10.0.0.5:40000",
  worker_id: "box-40000",
  models: ["llava-a", "llava-b"],
  state: "ready",
  breaker: "closed",
  speed: 1,
  queue_length: 3,
  in_flight: 2,
  running: 2,
  waiting: 1,
  max_running: 5,
  max_waiting: 20,
  tokens_per_s: 41.23,
  uptime_s: 7_384,
  heartbeat_age_s: 1,
  version: version(),
};
const NOW = Date.UTC(2026, 10, 23, 4);

test.each([
  [0, "0s"],
  [59.9, "59s"],
  [125, "2m 5s"],
  [7_384, "2h 3m"],
  [86_400, "1d 0h"],
])("%d seconds are %s", (seconds, text) => {
  expect(durationOf(seconds)).toBe(text);
});

test("the table has a line for each worker, a dash for what is unknown, and nothing that steers a terminal", () => {
  const original: WorkerView = {
    ...WORKER,
    address: "http://10.0.0.6:40000/\u001B[2J",
    models: ["old"],
    breaker: "open",
    running: null,
    max_running: null,
    tokens_per_s: null,
    uptime_s: null,
    version: null,
  };
  const controller = { version: "1.0.0", uptime_s: 5, dispatch_method: "lottery", streams: 0 };
  const table = psTable({ object: "list", controller, data: [WORKER, original] });
  const [head = "", ours = "", theirs = ""] = table.split("\n");
  expect(ours.trimEnd().split(/ {2,}/)).toEqual([
    "http://10.0.0.5:40000",
    "llava-a, llava-b",
    "ready",
    "3",
    "2/5",
    "41.2",
    "2h 3m",
    version(),
  ]);
  expect(theirs.split(/ {2,}/)).toEqual([
    "http://10.0.0.6:40000/?[2J",
    "old",
    "ready, left alone",
    "3",
    "-",
    "-",
    "-",
    "-",
  ]);
  expect(ours.indexOf("ready")).toBe(head.indexOf("STATE"));
});

describe("the clock", () => {
  test.each([
    ["as the controller's", 2_000, "ok"],
    ["30 s ahead", 30_000, "ok"],
    ["a minute ahead", 60_000, "wrong"],
    ["a minute behind", -60_000, "wrong"],
    ["alone", null, "ok"],
  ] as const)("%s", (_name, skewMs, state) => {
    expect(checkClock(skewMs, NOW).state).toBe(state);
  });

  test("says which one is ahead", () => {
    expect(checkClock(90_000, NOW).sentence).toContain("90 s ahead of the controller's");
    expect(checkClock(-90_000, NOW).sentence).toContain("90 s behind the controller's");
    expect(checkClock(null, 0)).toMatchObject({ state: "wrong", sentence: expect.stringContaining("1970") });
  });

  test("is compared with what the server's header says", () => {
    expect(skewOf("Mon, 23 Nov 2026 03:59:00 GMT", NOW)).toBe(60_000);
    expect(skewOf(null, NOW)).toBeNull();
    expect(skewOf("yesterday", NOW)).toBeNull();
  });
});

describe("a worker", () => {
  test.each([
    ["that is well", {}, "ok"],
    ["that kept failing", { breaker: "open" }, "wrong"],
    ["that is silent", { heartbeat_age_s: 25 }, "wrong"],
    ["that never beats", { heartbeat_age_s: null }, "ok"],
    ["that is stopped", { state: "draining" }, "note"],
    ["of another version", { version: "0.0.1" }, "note"],
    ["of the original project", { version: null, uptime_s: null }, "ok"],
  ] as const)("%s", (_name, change, state) => {
    expect(checkWorker({ ...WORKER, ...change })).toMatchObject({
      state,
      sentence: expect.stringContaining(WORKER.address),
    });
  });
});

test("an old Node is reported by its version, with the one that is needed", () => {
  expect(checkNode("24.0.0").state).toBe("ok");
  expect(checkNode("22.11.0")).toMatchObject({
    state: "wrong",
    sentence: expect.stringMatching(/22\.11\.0.*24/),
  });
});

describe("the memory of a model", () => {
  const dtypes = ["float32", "float16", "int8", "int4"] as const;

  test.each(dtypes)("as %s is what the engine would refuse to load without", async (dtype) => {
    const { requireModelMemory } = await import("@llava/engine");
    const { estimate } = await requireModelMemory(DEMO_MODEL, { dtype }, Infinity);
    const fits = await checkMemory(DEMO_MODEL, { dtype }, estimate.total);
    expect(fits).toMatchObject({ state: "ok", sentence: expect.stringContaining(`as ${dtype}`) });
    const short = estimate.total - 1;
    const refusal: unknown = await requireModelMemory(DEMO_MODEL, { dtype }, short).catch(
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(LlavaError);
    const { sentence, state } = await checkMemory(DEMO_MODEL, { dtype }, short);
    expect(state).toBe("wrong");
    expect(refusal).toMatchObject({ code: "out_of_memory", message: sentence });
  });

  test("is not asked for on a GPU, nor of a folder that is no model", async () => {
    expect((await checkMemory(DEMO_MODEL, { dtype: "float32", device: "cuda" }, 1)).state).toBe("ok");
    expect((await checkMemory("/no/such/folder", { dtype: "float32" }, 1)).state).toBe("ok");
  });
});

test("a finding is one line, whatever its sentence has", () => {
  expect(lineOf(wrong("Model", "It is\n  broken."))).toBe("wrong  Model             It is broken.\n");
});
