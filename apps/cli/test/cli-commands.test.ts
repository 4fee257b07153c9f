/** The command as a process: help, versions and exit codes. */
import { describe, expect, test } from "vitest";
import { llava } from "./llava.ts";

describe("llava", () => {
  test.each([[["--help"]], [["serve", "--help"]], [["chat", "--help"]], [["worker", "--help"]], [[]]])(
    "%j teaches with examples and exits 0",
    async (flags) => {
      const { code, out } = await llava(...flags);
      expect(code).toBe(0);
      expect(out).toContain("Examples:");
    },
  );

  test("--version is the package's", async () => {
    expect((await llava("--version")).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test.each([
    [["nonsense"], "nonsense"],
    [["serve", "--port", "x"], "whole number"],
    [["chat", "--temperature", "hot"], "number from 0 to 2"],
    [["chat", "--load-4bit", "--load-8bit"], "cannot be used with"],
    [["chat", "--model-base", "x"], "--model-base is known, but"],
    [["worker", "--port", "-1"], "whole number"],
    [["worker"], "--model-path"],
  ])("%j is wrong usage: exit 2 and a reason", async (flags, reason) => {
    const { code, out, err } = await llava(...flags);
    expect(err).toContain(reason);
    expect(out).toBe("");
    expect(code).toBe(2);
  });

  test("an image that is not there fails with one sentence and exit 1, before any model is loaded", async () => {
    const { code, err } = await llava("chat", "--image", "no-such.png", "--prompt", "What is it?");
    expect(err).toBe("The image no-such.png cannot be read: there is no such file.\n");
    expect(code).toBe(1);
  });

  test("an empty prompt fails with one sentence", async () => {
    const { code, err } = await llava("chat", "--prompt", "  ");
    expect(err).toMatch(/^The prompt is empty\..*\n$/);
    expect(code).toBe(1);
  });
});
