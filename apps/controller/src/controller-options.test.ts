import { CommanderError } from "commander";
import { expect, it } from "vitest";
import { parseControllerFlags } from "./controller-options.ts";
import { DISPATCH_METHODS } from "./registry/dispatch.ts";

it("the controller's flags have LLaVA's port and method by default", () => {
  expect(parseControllerFlags([])).toEqual({
    host: "127.0.0.1",
    port: 10_000,
    dispatchMethod: "shortest_queue",
    heartbeatExpiry: 30,
    drainTimeout: 5,
    requestDeadline: 900,
    logLevel: "info",
  });
});

it("the controller takes the original's flags, a shortened one too", () => {
  expect(parseControllerFlags(["--host", "0.0.0.0", "--port", "0", "--dispatch", "lottery"])).toMatchObject({
    host: "0.0.0.0",
    port: 0,
    dispatchMethod: "lottery",
  });
});

it.each(DISPATCH_METHODS)("the option table has the dispatch method %s", (method) => {
  expect(parseControllerFlags(["--dispatch-method", method])).toMatchObject({ dispatchMethod: method });
});

it("the controller takes several networks of workers", () => {
  const flags = parseControllerFlags(["--worker-network", "10.1.0.0/16", "--worker-network", "fd00::/8"]);
  expect(flags.workerNetwork).toEqual(["10.1.0.0/16", "fd00::/8"]);
});

it.each([
  [
    ["--dispatch-method", "random"],
    "Allowed choices are lottery, shortest_queue, power_of_two, image_affinity",
  ],
  [["--port", "70000"], "from 0 to 65535"],
  [["--heartbeat-expiry", "soon"], "seconds above 0"],
  [["--worker-network", "10.1.0.0"], "Give a network such as 10.1.0.0/16"],
  [["--colour"], "unknown option '--colour'"],
])("the controller's flags refuse %j with a sentence", (argv, sentence) => {
  let output = "";
  expect(() => parseControllerFlags(argv, (text) => (output += text))).toThrow(CommanderError);
  expect(output).toContain(sentence);
});
