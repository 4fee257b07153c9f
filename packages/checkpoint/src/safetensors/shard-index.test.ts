import path from "node:path";
import { describe, expect, test } from "vitest";
import { INDEX, makeFolder, ONE, rawFile, refusal, tensorJson } from "../../test/raw-file.ts";
import { Checkpoint } from "../source/checkpoint.ts";

describe("a sharded checkpoint", () => {
  const shardA = rawFile(`{"model.language_model.norm.weight":${ONE}}`, 4);
  const shardB = rawFile(`{"b":${tensorJson("F32", [], 0, 4)},"extra":${tensorJson("U8", [2], 4, 6)}}`, 6);
  const A = "model-00001-of-00002.safetensors";
  const B = "model-00002-of-00002.safetensors";
  const indexOf = (map: Record<string, unknown>): string => JSON.stringify({ metadata: {}, weight_map: map });

  test("is one index over all its files, of what the index lists", async () => {
    const index = indexOf({ "model.language_model.norm.weight": A, b: B });
    const folder = await makeFolder({ [A]: shardA, [B]: shardB, [INDEX]: index });
    const tensorName = (name: string): string =>
      name.replace("model.language_model.", "language_model.model.");
    const checkpoint = await Checkpoint.open(folder, { tensorName });
    expect(checkpoint.names()).toEqual(["language_model.model.norm.weight", "b"]);
    expect(checkpoint.get("language_model.model.norm.weight")).toMatchObject({
      file: path.join(folder, A),
      shape: [1],
      length: 4,
    });
    expect(checkpoint.get("b")).toMatchObject({
      file: path.join(folder, B),
      shape: [],
      offset: shardB.length - 6,
    });
    expect([...(await checkpoint.read("b"))]).toEqual([0]);
  });

  test.each<[what: string, index: string, sentence: string]>([
    ["no JSON", "{", "not the JSON it should be"],
    ["no weight_map", "{}", "no object weight_map"],
    ["an array as weight_map", '{"weight_map":[]}', "no object weight_map"],
    ["an empty weight_map", '{"weight_map":{}}', "is empty"],
    ["a name twice", `{"weight_map":{"b":"${A}","b":"${B}"}}`, 'has the key "b" twice'],
    ["a tensor called __proto__", '{"weight_map":{"__proto__":7}}', '"__proto__" into no text'],
    ["a number as file", indexOf({ b: 7 }), 'tensor "b" into no text'],
    ["a path upwards", indexOf({ b: "../x.safetensors" }), '"../x.safetensors", which is not the name'],
    ["an absolute path", indexOf({ b: "/etc/x.safetensors" }), "which is not the name"],
    ["a path downwards", indexOf({ b: "x/y.safetensors" }), "which is not the name"],
    ["a backslash", indexOf({ b: "..\\x.safetensors" }), "which is not the name"],
    ["a zero byte", indexOf({ b: "x\0.safetensors" }), "which is not the name"],
    ["a line break at the end", indexOf({ b: `${B}\n` }), "which is not the name"],
    ["another kind of file", indexOf({ b: "config.json" }), "which is not the name"],
    ["a missing file", indexOf({ b: "none.safetensors" }), "none.safetensors cannot be opened"],
    [
      "a tensor that its file lacks, while another file holds one of the same canonical name",
      indexOf({ "language_model.model.norm.weight": A, "model.language_model.norm.weight": A, b: B }),
      `tensor "language_model.model.norm.weight" into ${A}, which does not hold it`,
    ],
    ["a tensor that its file lacks", indexOf({ b: A }), `tensor "b" into ${A}, which does not hold it`],
    [
      "one tensor under two names",
      indexOf({ "lm_head.weight": A, "language_model.lm_head.weight": B }),
      "hold",
    ],
    [
      "over 1000 files",
      indexOf(Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`t${i}`, `${i}.safetensors`]))),
      "1001 files",
    ],
    ["more than 25 MB", " ".repeat(25_000_001), "25000001 bytes long"],
  ])("is refused with %s", async (_what, index, sentence) => {
    const folder = await makeFolder({ [A]: shardA, [B]: shardB, [INDEX]: index });
    const error = await refusal(folder);
    expect(error.code).toBe("invalid_checkpoint");
    expect(error.message).toContain(sentence);
  });

  test("a damaged shard is named", async () => {
    const index = indexOf({ b: B });
    const folder = await makeFolder({ [B]: shardB.subarray(0, -1), [INDEX]: index });
    expect((await refusal(folder)).message).toContain(path.join(folder, B));
  });
});
