import { CommanderError } from "commander";
import { expect, test } from "vitest";
import { parseWebFlags } from "./web-options.ts";

test("the page's server has LLaVA's port and the controller of this machine by default", () => {
  expect(parseWebFlags([])).toEqual({
    host: "127.0.0.1",
    port: 7860,
    controllerUrl: "http://127.0.0.1:10000",
    logLevel: "warn",
  });
});

test("LLaVA's --controller-url and its short form give an address without a slash at its end", () => {
  for (const name of ["--controller-url", "--controller"])
    expect(parseWebFlags([name, "https://a.example/llava/"])).toMatchObject({
      controllerUrl: "https://a.example/llava",
    });
});

test.each([
  [["--controller", "ftp://a"], "Give an address such as"],
  [["--port", "70000"], "from 0 to 65535"],
  [["--log-level", "loud"], "Allowed choices are trace"],
  [["--cluster-token-file", "t"], "unknown option"],
])("the command line %j is refused with a sentence", (argv, sentence) => {
  let refusal = "";
  expect(() => parseWebFlags(argv, (text) => (refusal += text))).toThrow(CommanderError);
  expect(refusal).toContain(sentence);
});
