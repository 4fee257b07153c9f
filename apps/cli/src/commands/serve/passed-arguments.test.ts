import { Command } from "commander";
import { expect, test } from "vitest";
import { addCommandOptions, type ServeFlags } from "../../options/command-options.ts";
import { passedArguments } from "./passed-arguments.ts";
import { childFlags, planServe } from "./serve-plan.ts";

function parse(...argv: string[]): ServeFlags {
  const command = addCommandOptions(new Command("serve").exitOverride(), "serve");
  command.configureOutput({ writeErr: () => undefined });
  command.parse(argv, { from: "user" });
  return command.opts<ServeFlags>();
}

const IMAGES = (
  "--kv-cache-mib 512 --image-processes 3 --allow-image-urls --allow-http-image-urls " +
  "--allowed-image-domain *.example.com --allowed-image-domain b.example --allowed-image-port 8443 " +
  "--denied-image-network 203.0.113.0/24 --image-url-redirects 2"
).split(" ");

test("nothing that was not given is handed on", () => {
  for (const program of ["controller", "worker", "web"] as const) {
    expect(passedArguments(parse(), program)).toEqual([]);
  }
});

test("each program gets the flags that are its own, as they were given", () => {
  const level = ["--log-level", "debug"];
  const log = ["--conversation-log", "/var/log/c d"];
  const fleet = ["--heartbeat-expiry", "2.5", "--dispatch"];
  const flags = parse(...IMAGES, "--log-prompts", ...level, ...log, ...fleet, "image_affinity");
  expect(passedArguments(flags, "worker")).toEqual([...level, "--log-prompts", ...IMAGES]);
  expect(passedArguments(flags, "controller").join(" ")).toBe(
    "--dispatch-method image_affinity --heartbeat-expiry 2.5 --log-level debug",
  );
  expect(passedArguments(flags, "web")).toEqual([...log, ...level]);
  const plan = planServe(flags);
  expect(childFlags.controller(plan)).toContain("image_affinity");
  expect(childFlags.web(plan, "http://c")).toContain("/var/log/c d");
  expect(childFlags.worker(plan, { folder: "/m", port: 1 }, "http://c")).toContain("*.example.com");
});

test.each([
  ["--image-processes", "0"],
  ["--allowed-image-port", "70000"],
  ["--image-url-redirects", "4"],
  ["--heartbeat-expiry", "soon"],
  ["--dispatch-method", "random"],
  ["--log-level", "loud"],
])("%s %s is refused before anything starts", (name, value) => {
  expect(() => parse(name, value)).toThrow(name);
});

test.each([
  "--controller",
  "--controller-address",
  "--controller-url",
  "--worker",
  "--worker-address",
  "--no-register",
  "--worker-network",
  "--controller-key-file",
  "--cluster-token-file",
])("%s is refused by its name, with and without a value", (name) => {
  expect(() => parse(name)).toThrow(`${name} is known, but`);
  if (name !== "--no-register") expect(() => parse(name, "x")).toThrow(`${name} is known, but`);
});
