import { CommanderError } from "commander";
import { describe, expect, test } from "vitest";
import { parseWorkerFlags } from "./worker-options.ts";

const MODEL = ["--model-path", "/models/demo"];

function refusal(...argv: string[]): { exitCode: number; text: string } {
  let text = "";
  try {
    parseWorkerFlags(argv, (part) => (text += part));
  } catch (error) {
    if (error instanceof CommanderError) return { exitCode: error.exitCode, text };
    throw error;
  }
  throw new Error("was accepted");
}

describe("parseWorkerFlags", () => {
  test("defaults are LLaVA's, with the README's ports", () => {
    expect(parseWorkerFlags(MODEL)).toEqual({
      host: "127.0.0.1",
      port: 40_000,
      controllerAddress: ["http://127.0.0.1:10000"],
      modelPath: "/models/demo",
      device: "cpu",
      dtype: "float32",
      limitModelConcurrency: 5,
      register: true,
      heartbeatInterval: 15,
      drainTimeout: 30,
      logLevel: "info",
      imageProcesses: 2,
      imageUrlRedirects: 0,
    });
  });

  test("what may be fetched is given flag by flag, and nothing is without the first flag", () => {
    const line =
      "--allow-image-urls --allowed-image-domain a.example --allowed-image-domain *.b.example --allowed-image-port 8443 --denied-image-network 203.0.113.0/24 --image-url-redirects 3";
    const { deniedImageNetwork = [], ...flags } = parseWorkerFlags([...MODEL, ...line.split(" ")]);
    expect(flags).toMatchObject({
      allowImageUrls: true,
      allowedImageDomain: ["a.example", "*.b.example"],
      allowedImagePort: [8443],
      imageUrlRedirects: 3,
    });
    expect(deniedImageNetwork.map(([address, bits]) => `${address.toString()}/${bits}`)).toEqual([
      "203.0.113.0/24",
    ]);
    for (const wrong of ["--denied-image-network=10.0.0.1", "--image-url-redirects=4", "--image-processes=0"])
      expect(() => parseWorkerFlags([...MODEL, wrong], () => undefined)).toThrow(/Give a/);
  });

  test("the original's README command line works as it stands", () => {
    const line =
      "--host 0.0.0.0 --controller http://localhost:10000 --port 40001 --worker http://localhost:40001/ --model-path liuhaotian/llava-v1.5-13b --device cuda:1 --multi-modal --stream-interval 2 --use-flash-attn";
    expect(parseWorkerFlags(line.split(" "))).toMatchObject({
      host: "0.0.0.0",
      controllerAddress: ["http://localhost:10000"],
      workerAddress: "http://localhost:40001",
      port: 40_001,
      device: "cuda:1",
    });
  });

  test("both names of an aliased flag mean the same", () => {
    expect(parseWorkerFlags([...MODEL, "--conv-mode", "llava_v1"])).toMatchObject({ convMode: "llava_v1" });
    expect(parseWorkerFlags([...MODEL, "--conversation=llava_v1"])).toMatchObject({ convMode: "llava_v1" });
    expect(parseWorkerFlags([...MODEL, "--no-register"])).toMatchObject({ register: false });
  });

  test("several controllers are separated by commas or flags, each counts once", () => {
    const flags = [
      "--controller",
      "http://a:1,http://b:2/",
      "--controller-address",
      "http://c:3",
      "--controller=http://b:2",
    ];
    expect(parseWorkerFlags([...MODEL, ...flags]).controllerAddress).toEqual([
      "http://a:1",
      "http://b:2",
      "http://c:3",
    ]);
    const many = Array.from({ length: 17 }, (_, index) => `http://c:${index + 1}`).join(",");
    expect(refusal(...MODEL, "--controller", many).text).toContain("at most 16 controllers");
    expect(refusal(...MODEL, "--controller", "http://a:1,").exitCode).not.toBe(0);
  });

  test.each([["--model-base", "/models/vicuna"]])("%s is refused by name", (...flags) => {
    const { exitCode, text } = refusal(...MODEL, ...flags);
    expect(exitCode).not.toBe(0);
    expect(text).toContain(`${flags[0]} is known, but`);
  });

  test.each([
    [[], "float32"],
    [["--dtype", "float16"], "float16"],
    [["--load-8bit"], "int8"],
    [["--load-4bit"], "int4"],
  ])("%j loads weights as %s", (flags, dtype) => {
    expect(parseWorkerFlags([...MODEL, ...flags])).toMatchObject({ dtype });
  });

  test.each([
    [["--load-4bit", "--load-8bit"]],
    [["--load-4bit", "--dtype", "float16"]],
    [["--dtype", "int3"]],
  ])("%j is a usage error", (flags) => {
    expect(refusal(...MODEL, ...flags).exitCode).not.toBe(0);
  });

  test.each([
    ["--port", "70000"],
    ["--port", "4e4"],
    ["--limit-model-concurrency", "0"],
    ["--heartbeat-interval", "NaN"],
    ["--heartbeat-interval", "0"],
    ["--controller", "localhost:10000"],
    ["--controller", "file:///etc/passwd"],
    ["--worker", "http://user@host"],
    ["--device", "tpu"],
    ["--log-level", "loud"],
    ["--nonsense"],
  ])("%s %s is a usage error", (...flags) => {
    expect(refusal(...MODEL, ...flags).exitCode).not.toBe(0);
  });

  test("the model folder is required and the help teaches with examples", () => {
    expect(refusal().text).toContain("--model-path");
    const help = refusal("--help");
    expect(help.exitCode).toBe(0);
    expect(help.text).toContain("Examples:");
  });
});
