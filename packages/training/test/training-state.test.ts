/** Tests that the state of a run is saved and loaded whole or not at all, whatever interrupts it. */
import { copyFile, mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { train } from "../src/loop/trainer.ts";
import { TrainingState } from "../src/state/training-state.ts";
import { bits, folder, options, recipe, trainUntil } from "./tiny-run.ts";

describe("a save", () => {
  const file = (name: string): string => path.join(folder, name);
  const weights = (of: string): string => path.join(folder, of, "model.safetensors");

  it("comes back as it was, also without a position or a parameter", async () => {
    const empty = new TrainingState();
    await empty.save(folder);
    expect(bits(await TrainingState.load(folder))).toEqual(bits(empty));
    await trainUntil(3, empty);
    expect(bits(await TrainingState.load(folder))).toEqual(bits(empty));
  });

  it("that is interrupted at any point leaves the state before it", async () => {
    const state = new TrainingState();
    await trainUntil(4, state);
    const before = bits(state);
    await copyFile(file("state.json"), file("copy.json"));
    const named = JSON.parse(await readFile(file("state.json"), "utf8")) as { weights: string };
    const other = named.weights === "weights-a" ? "weights-b" : "weights-a";
    await trainUntil(2, state);
    // The new weights are there, but not yet the file that names them.
    await copyFile(file("copy.json"), file("state.json"));
    expect(bits(await TrainingState.load(folder))).toEqual(before);
    // The new weights are half there, under their own or a temporary name.
    await copyFile(weights(other), path.join(folder, other, "model.safetensors.0a1b.tmp"));
    await truncate(weights(other), 100);
    expect(bits(await TrainingState.load(folder))).toEqual(before);
    await rm(path.join(folder, other), { recursive: true });
    expect(bits(await TrainingState.load(folder))).toEqual(before);
    // The small file is half there.
    await writeFile(file("state.json.new"), '{"weights":"wei');
    expect(bits(await TrainingState.load(folder))).toEqual(before);
  });

  it("clears away what an interrupted one left", async () => {
    const state = new TrainingState();
    for (let i = 0; i < 3; i++) await state.save(folder);
    for (const of of ["weights-a", "weights-b"])
      await writeFile(path.join(folder, of, "model.safetensors.0a1b.tmp"), "half");
    await state.save(folder);
    await state.save(folder);
    expect((await readdir(folder)).sort()).toEqual(["state.json", "weights-a", "weights-b"]);
    for (const of of ["weights-a", "weights-b"])
      expect(await readdir(path.join(folder, of))).toEqual(["model.safetensors"]);
  });

  it("of a run that began anew in a used folder does not write over the old weights first", async () => {
    await trainUntil(2, new TrainingState());
    await copyFile(file("state.json"), file("copy.json"));
    const old = bits(await TrainingState.load(folder));
    await new TrainingState().save(folder);
    await copyFile(file("copy.json"), file("state.json"));
    expect(bits(await TrainingState.load(folder))).toEqual(old);
  });

  it.each([
    "",
    "{}",
    "null",
    '{"weights":"../../etc","position":null,"finished":[]}',
    '{"weights":"weights-a","position":{"phase":"one","step":-1},"finished":[]}',
  ])("that is none is refused in a sentence: %s", async (content) => {
    await trainUntil(1, new TrainingState());
    await writeFile(file("state.json"), content);
    await expect(TrainingState.load(folder)).rejects.toMatchObject({
      code: "invalid_checkpoint",
      message: /--fresh\.$/,
    });
  });

  it("is removed with all that belongs to it, and with nothing else", async () => {
    await trainUntil(8, new TrainingState());
    await writeFile(file("state.json.new"), "half");
    await writeFile(file("notes.txt"), "mine");
    await TrainingState.remove(folder);
    await TrainingState.remove(folder);
    expect(await readdir(folder)).toEqual(["notes.txt"]);
  });

  it("whose small file cannot be read is not written over", async () => {
    const state = new TrainingState();
    await trainUntil(1, state);
    await rm(file("state.json"));
    await mkdir(file("state.json"));
    const before = await readdir(folder);
    await expect(state.save(folder)).rejects.toMatchObject({ code: "EISDIR" });
    await expect(TrainingState.load(folder)).rejects.toMatchObject({ code: "EISDIR" });
    expect(await readdir(folder)).toEqual(before);
    expect(await readdir(path.join(folder, "weights-a"))).toEqual(["model.safetensors"]);
  });

  it("of another recipe is refused by name", async () => {
    const state = new TrainingState();
    await state.parameter("first.weight", [5, 5], {
      isTrained: true,
      initialize: () => new Float32Array(25),
    });
    const error = {
      code: "invalid_checkpoint",
      message: expect.stringMatching(/first\.weight is \[5,5\] .* wants \[12,6\]; .*--fresh/),
    };
    await expect(train(recipe(), state, options())).rejects.toMatchObject(error);
  });
});
