/** The model that ships with the project, asked as a person would: true words about an image. */
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { png, type Rgb } from "@llava/testing/png";
import { DEMO_MODEL } from "../src/options/default-model.ts";
import { Llava, llava } from "./llava.ts";

/** A red circle on a light ground, in the size that the model sees. */
function paintCircle(x: number, y: number): Rgb {
  const isInside = (x - 48) ** 2 + (y - 48) ** 2 < 26 ** 2;
  return isInside ? [220, 30, 30] : [245, 245, 245];
}

let folder = "";
let image = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "llava-demo-"));
  image = join(folder, "circle.png");
  await writeFile(image, png(96, 96, paintCircle));
});
afterAll(() => rm(folder, { recursive: true }));

describe.runIf(existsSync(join(DEMO_MODEL, "config.json")))("the demo model", () => {
  test("says what color the circle is, in one shot", async () => {
    const { code, out } = await llava("chat", "--image", image, "--prompt", "What color is the circle?");
    expect(out).toMatch(/\bred\b/i);
    expect(code).toBe(0);
  });

  test("keeps the image in mind over a conversation", async () => {
    const lines = ["What shape is it?", "What color is the circle?"];
    const talk = new Llava("chat", "--image", image, "--temperature", "0").input(`${lines.join("\n")}\n`);
    const { out } = await talk.ended;
    expect(out).toMatch(/circle[\s\S]*red/i);
  });
});
