import { expect, test } from "vitest";
import type { ServeFlags } from "../../options/command-options.ts";
import { DEMO_MODEL } from "../../options/default-model.ts";
import { childFlags, planServe, readyBlock, shownName, wantedPorts } from "./serve-plan.ts";

const FLAGS: ServeFlags = {
  host: "127.0.0.1",
  port: 7860,
  controllerPort: 10_000,
  workerPort: 40_000,
  device: "cpu",
  dtype: "float32",
  limitModelConcurrency: 5,
  heartbeatInterval: 15,
  drainTimeout: 5,
  verbose: false,
};

test("without a model the demo model gets one worker on LLaVA's port", () => {
  const plan = planServe(FLAGS);
  expect(plan.workers).toEqual([{ folder: DEMO_MODEL, port: 40_000 }]);
  expect(wantedPorts(plan).map(({ port, flag }) => [port, flag])).toEqual([
    [10_000, "--controller-port"],
    [40_000, "--worker-port"],
    [7860, "--port"],
  ]);
});

test("every model gets a worker of its own on the next port, and the flags that concern it", () => {
  const plan = planServe({
    ...FLAGS,
    modelPath: ["/m/a b", "C:\\m\\b"],
    convMode: "llava_v1",
    threads: 2,
    host: "0.0.0.0",
  });
  expect(plan.workers.map(({ port }) => port)).toEqual([40_000, 40_001]);
  const worker = childFlags
    .worker(plan, { folder: "/m/a b", port: 40_000 }, "http://127.0.0.1:10000")
    .join("|");
  expect(worker).toContain("--model-path|/m/a b");
  expect(worker).toContain("--controller-address|http://127.0.0.1:10000");
  expect(worker).toContain("--conv-mode|llava_v1|--threads|2");
  // Only the page is opened to other machines.
  expect(worker).toContain("--host|127.0.0.1");
  expect(childFlags.web(plan, "http://c").join("|")).toContain("--host|0.0.0.0");
});

test("options of access go to the page's server only, which other machines can reach", () => {
  const plan = planServe({
    ...FLAGS,
    apiKeyFile: "k e y s.txt",
    allowAnonymous: true,
    allowedHost: ["chat.example", "b.example"],
    clientBurst: 3,
  });
  const names = "--allowed-host|chat.example|--allowed-host|b.example";
  const web = childFlags.web(plan, "http://c").join("|");
  expect(web).toContain(`--api-key-file|k e y s.txt|--allow-anonymous|${names}|--client-burst|3`);
  expect(childFlags.controller(plan).join("|")).toBe("--host|127.0.0.1|--port|10000");
});

test("a name for each model, in their order", () => {
  const modelPath = ["/m/a", "/m/b"];
  const plan = planServe({ ...FLAGS, modelPath, modelName: ["first", "second"] });
  expect(plan.workers.map(shownName)).toEqual(["first", "second"]);
  const [, second] = plan.workers;
  if (second === undefined) throw new Error("there is no second worker");
  expect(childFlags.worker(plan, second, "http://c").join("|")).toContain("--model-name|second");
  expect(() => planServe({ ...FLAGS, modelPath, modelName: ["first"] })).toThrow("2 models and 1 names");
});

test("the ready block names the address to open", () => {
  const block = readyBlock(planServe(FLAGS), {
    pageUrl: "http://127.0.0.1:7860",
    controllerUrl: "http://127.0.0.1:10000",
    workerUrls: ["http://127.0.0.1:40000"],
  });
  expect(block).toContain("open http://127.0.0.1:7860\n");
  expect(block).toContain("llava-demo on cpu");
});
