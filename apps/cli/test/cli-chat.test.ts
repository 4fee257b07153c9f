/** `llava chat` as a process, with the real engine on a tiny model. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { png } from "@llava/testing/png";
import { Llava, llava, type Outcome } from "./llava.ts";
import { makeTinyFolder } from "./tiny-folder.ts";

let tiny: Awaited<ReturnType<typeof makeTinyFolder>>;
let image = "";
beforeAll(async () => {
  tiny = await makeTinyFolder();
  image = join(tiny.folder, "a green image.png");
  await writeFile(image, png(40, 30, [0, 255, 0]));
});
afterAll(() => tiny.remove());

function greedy(...flags: string[]): string[] {
  return [
    "chat",
    "--model-path",
    tiny.folder,
    "--threads",
    "1",
    "--temperature",
    "0",
    "--max-new-tokens",
    "6",
    ...flags,
  ];
}

describe("one question", () => {
  test("is answered on stdout and nothing else is, exit 0", async () => {
    const { code, out, err } = await llava(...greedy("--image", image, "--prompt", "What is it?"));
    expect(err).toBe("");
    expect(out).toMatch(/^[a-z]{6}\n$/);
    expect(code).toBe(0);
  });

  test("with --json is answered in events", async () => {
    const { code, out } = await llava(...greedy("--image-file", image, "--prompt", "What?", "--json"));
    const events = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.at(-1)).toMatchObject({
      type: "finished",
      reason: "length",
      usage: { imageTokens: 4, completionTokens: 6 },
    });
    expect(events.slice(0, -1).every((event) => event.type === "text-delta")).toBe(true);
    expect(code).toBe(0);
  });

  test.each([
    ["an image that is none", ["--image", import.meta.filename, "--prompt", "What?"], /image|image/i],
    ["a folder without a model", ["--model-path", import.meta.dirname, "--prompt", "What?"], /config\.json/],
    ["an unknown template", ["--conv-mode", "klingon", "--prompt", "What?"], /klingon/],
    ["a prompt over the context", ["--prompt", "x".repeat(2000)], /1024/],
  ])("%s is one sentence on stderr, exit 1", async (_name, flags, sentence) => {
    const { code, out, err } = await llava(...greedy(...flags));
    expect(err).toMatch(sentence);
    expect(err.trimEnd()).not.toContain("\n");
    expect(out).toBe("");
    expect(code).toBe(1);
  });

  test("Ctrl-C stops it with exit 130", async () => {
    const asked = new Llava(...greedy("--prompt", "Go on.", "--max-new-tokens", "900"));
    asked.child.stdout?.once("data", () => asked.child.kill("SIGINT"));
    const { code, out } = await asked.ended;
    expect(out.length).toBeLessThan(900);
    expect(code).toBe(130);
  });
});

function converse(...lines: string[]): Promise<Outcome> {
  return new Llava(...greedy()).input(lines.map((line) => `${line}\n`).join("")).ended;
}

describe("a conversation", () => {
  test("answers line by line, keeps the conversation, forgets it after /reset, and ends with its input", async () => {
    const { code, out, err } = await converse("One?", "One?", "/reset", "One?");
    const [first, second, third] = out.trimEnd().split("\n");
    expect(first).toMatch(/^[a-z]{6}$/);
    expect(second).not.toBe(first);
    expect(third).toBe(first);
    expect(err).toContain("forgotten");
    expect(code).toBe(0);
  });

  test("takes images by name, says what it does not understand, and goes on", async () => {
    const { code, out, err } = await converse(
      "/image no such.png",
      `/image "${image}"`,
      "/dance",
      "What?",
      "/quit",
      "More?",
    );
    expect(err).toContain("no such.png cannot be read");
    expect(err).toContain("a green image.png is shown with the next question");
    expect(err).toContain("/dance is not a command");
    expect(out).toMatch(/^[a-z]{6}\n$/);
    expect(code).toBe(0);
  });

  test("ends at an empty line", async () => {
    expect((await converse("", "More?")).out).toBe("");
  });
});
