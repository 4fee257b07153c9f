import { execFileSync } from "node:child_process";
import { link, mkdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { makeFolder, ONE, rawFile, refusal, SINGLE, tensorJson } from "../../test/raw-file.ts";
import { Checkpoint } from "./checkpoint.ts";
import { writeSafetensors } from "../safetensors/safetensors-writer.ts";

const HUGE = 2 ** 32;

/** Two spellings of one tensor, as the versions of a library have them. */
const tensorName = (stored: string): string => stored.replace(/^lm_head/, "language_model.lm_head");

describe("a malformed file is refused with a sentence that names it", () => {
  test.each<[what: string, file: Uint8Array, sentence: string]>([
    ["no byte at all", new Uint8Array(0), "it is 0 bytes long"],
    ["seven bytes", new Uint8Array(7), "it is 7 bytes long"],
    ["a header longer than the file", rawFile("{}", 0, 3n), "claims a header of 3 bytes, but 2"],
    ["a header of 2^64-1 bytes", rawFile("{}", 0, 2n ** 64n - 1n), "claims a header of 18446744073709551615"],
    ["a header over 25 MB", rawFile("{}", 25_000_100, 25_000_001n), "25000000 is the most"],
    ["an empty header", rawFile("", 0), "does not begin with {"],
    ["a header that is an array", rawFile("[]", 0), "does not begin with {"],
    ["a space before the brace", rawFile(" {}", 0), "does not begin with {"],
    ["a byte order mark", rawFile("\uFEFF{}", 0), "does not begin with {"],
    ["bytes that are no UTF-8", rawFile(Uint8Array.of(0x7b, 0xff, 0x7d), 0), "not UTF-8"],
    ["half a header", rawFile('{"a":{"dtype":"F32"', 0), "not the JSON it should be"],
    ["text after the header's end", rawFile("{}x", 0), "not the JSON it should be"],
    ["too deep a header", rawFile(`{"a":{"b":{"c":{"d":{}}}}}`, 0), "deeper than 4"],
    ["a name twice", rawFile(`{"a":${ONE},"a":${ONE}}`, 4), 'has the key "a" twice'],
    ["a name twice, once escaped", rawFile(`{"a":${ONE},"\\u0061":${ONE}}`, 4), 'has the key "a" twice'],
    [
      "a key twice in a tensor",
      rawFile(`{"a":{"dtype":"I32",${ONE.slice(1)}}`, 4),
      'has the key "dtype" twice',
    ],
    ["metadata that is no object", rawFile('{"__metadata__":1}', 0), "__metadata__"],
    ["metadata with a number", rawFile('{"__metadata__":{"a":1}}', 0), "__metadata__"],
    ["a tensor that is a number", rawFile('{"a":1}', 0), 'tensor "a" has a description 1'],
    ["an unknown dtype", rawFile(`{"a":${tensorJson("F4", [1], 0, 4)}}`, 4), 'tensor "a" has dtype "F4"'],
    ["a dtype of Object.prototype", rawFile(`{"a":${tensorJson("toString", [1], 0, 4)}}`, 4), '"toString"'],
    ["no dtype", rawFile('{"a":{"shape":[1],"data_offsets":[0,4]}}', 4), 'tensor "a" has dtype missing'],
    ["no shape", rawFile('{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4), "shape missing"],
    ["no offsets", rawFile('{"a":{"dtype":"F32","shape":[1]}}', 4), "data_offsets missing"],
    ["an unknown key", rawFile(`{"a":{"x":1,${ONE.slice(1)}}`, 4), 'tensor "a" has a description'],
    ["an endless key", rawFile(`{"a":{"${"x".repeat(1e6)}":1,${ONE.slice(1)}}`, 4), "has a description"],
    ["an endless word", rawFile(`{"a":${"x".repeat(1e6)}}`, 4), "not the JSON it should be"],
    ["a key that steers the terminal", rawFile(`{"a":{"\\u001b[2J":1,${ONE.slice(1)}}`, 4), " [2J"],
    ["a negative axis", rawFile(`{"a":${tensorJson("F32", [-1], 0, 4)}}`, 4), "shape.0 -1"],
    ["half an axis", rawFile(`{"a":${tensorJson("F32", [0.5], 0, 4)}}`, 4), "shape.0 0.5"],
    ["an axis as text", rawFile(`{"a":${tensorJson("F32", ["1"], 0, 4)}}`, 4), 'shape.0 "1"'],
    [
      "an axis over 2^53",
      rawFile(`{"a":${tensorJson("F32", [2 ** 53], 0, 4)}}`, 4),
      "shape.0 9007199254740992",
    ],
    ["an infinite offset", rawFile(`{"a":${tensorJson("F32", [1], 0, "1e400")}}`, 4), "data_offsets.1"],
    [
      "nine axes",
      rawFile(`{"a":${tensorJson("F32", [1, 1, 1, 1, 1, 1, 1, 1, 1], 0, 4)}}`, 4),
      'tensor "a" has shape',
    ],
    ["one offset", rawFile('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}', 4), "data_offsets"],
    ["a negative offset", rawFile(`{"a":${tensorJson("F32", [1], -4, 0)}}`, 4), "data_offsets.0 -4"],
    [
      "offsets the wrong way round",
      rawFile(`{"a":${tensorJson("F32", [1], 4, 0)}}`, 4),
      "claims bytes 4 to 0",
    ],
    [
      "offsets behind the file",
      rawFile(`{"a":${tensorJson("F32", [2], 0, 8)}}`, 4),
      'tensor "a" claims bytes 0 to 8',
    ],
    [
      "too few bytes",
      rawFile(`{"a":${tensorJson("F32", [2], 0, 4)}}`, 4),
      'tensor "a" of shape [2] in F32 takes 8',
    ],
    [
      "too many bytes",
      rawFile(`{"a":${tensorJson("F16", [1], 0, 4)}}`, 4),
      "takes 2 bytes, but its offsets give it 4",
    ],
    [
      "a product that wraps to 0",
      rawFile(`{"a":${tensorJson("F32", [HUGE, HUGE], 0, 0)}}`, 0),
      "73786976294838206464",
    ],
    [
      "bytes before the first tensor",
      rawFile(`{"a":${tensorJson("F32", [1], 4, 8)}}`, 8),
      'the 4 bytes before tensor "a"',
    ],
    [
      "a hole",
      rawFile(`{"a":${ONE},"b":${tensorJson("U8", [1], 5, 6)}}`, 6),
      'the 1 bytes before tensor "b"',
    ],
    ["bytes after the last tensor", rawFile(`{"a":${ONE}}`, 7), "its last 3 bytes"],
    ["data without a tensor", rawFile("{}", 1), "its last 1 bytes"],
    [
      "overlapping tensors",
      rawFile(`{"a":${ONE},"b":${tensorJson("F32", [1], 2, 6)}}`, 6),
      'tensor "b" overlaps',
    ],
    [
      "two tensors on the same bytes",
      rawFile(`{"a":${ONE},"b":${ONE}}`, 4),
      'tensor "b" overlaps the one before it by 4',
    ],
    [
      "a tensor called __proto__ on bytes of another",
      rawFile(`{"a":${ONE},"__proto__":${ONE}}`, 4),
      '"__proto__"',
    ],
    [
      "one tensor under two names",
      rawFile(`{"lm_head.weight":${ONE},"language_model.lm_head.weight":${tensorJson("F32", [1], 4, 8)}}`, 8),
      'is a second "language_model.lm_head.weight"',
    ],
    [
      "over 100,000 tensors",
      rawFile(
        `{${Array.from({ length: 100_002 }, (_, i) => `"${i}":${tensorJson("U8", [0], 0, 0)}`).join()}}`,
        0,
      ),
      "more than 100000 tensors",
    ],
  ])("%s", async (_what, file, sentence) => {
    const folder = await makeFolder({ [SINGLE]: file });
    const error = await refusal(folder, { tensorName });
    expect(error.code).toBe("invalid_checkpoint");
    expect(error.message).toContain(path.join(folder, SINGLE));
    expect(error.message).toContain(sentence);
    expect(error.message.length).toBeLessThan(600);
    expect(error.message).not.toMatch(/\p{Cc}/u);
  });

  test("cut off at any byte", async () => {
    const folder = await makeFolder();
    const file = path.join(folder, SINGLE);
    const tensor = { name: "w", dtype: "F16" as const, shape: [3], data: Float32Array.of(1, 2, 3) };
    await writeSafetensors(file, [tensor]);
    const { length } = await readFile(file);
    for (let size = length - 1; size >= 0; size--) {
      await truncate(file, size);
      expect((await refusal(folder)).code).toBe("invalid_checkpoint");
    }
  });
});

describe("a file that is not what it seems is refused", () => {
  test("no weights, and no folder", async () => {
    const folder = await makeFolder({ "pytorch_model.bin": "x" });
    expect(await refusal(folder)).toMatchObject({ code: "invalid_checkpoint" });
    expect(await refusal(path.join(folder, "none"))).toMatchObject({ code: "model_not_found" });
  });

  test("a folder in place of the file", async () => {
    const folder = await makeFolder();
    await mkdir(path.join(folder, SINGLE));
    expect((await refusal(folder)).message).toContain("cannot be opened as a plain file");
  });

  test.skipIf(process.platform === "win32")("a named pipe, without waiting for a writer", async () => {
    const folder = await makeFolder();
    execFileSync("mkfifo", [path.join(folder, SINGLE)]);
    expect((await refusal(folder)).message).toContain("cannot be opened as a plain file");
  });

  test.skipIf(process.platform === "win32")(
    "a link out of the folder; one that stays inside is read",
    async () => {
      const good = rawFile(`{"a":${ONE}}`, 4);
      const outside = await makeFolder({ "secret.safetensors": good });
      const folder = await makeFolder({ "real.safetensors": good });
      await symlink(path.join(outside, "secret.safetensors"), path.join(folder, SINGLE));
      expect((await refusal(folder)).message).toContain("outside the model's folder");
      await rm(path.join(folder, SINGLE));
      await symlink("real.safetensors", path.join(folder, SINGLE));
      expect((await Checkpoint.open(folder)).names()).toEqual(["a"]);
      const linked = path.join(outside, "linked");
      await symlink(folder, linked);
      expect((await Checkpoint.open(linked)).has("a")).toBe(true);
      await rm(path.join(folder, SINGLE));
      await link(path.join(folder, "real.safetensors"), path.join(folder, SINGLE));
      expect((await Checkpoint.open(folder)).has("a")).toBe(true);
    },
  );

  test("a file that changes after opening", async () => {
    const folder = await makeFolder({ [SINGLE]: rawFile(`{"a":${ONE}}`, 4) });
    const checkpoint = await Checkpoint.open(folder);
    await writeFile(path.join(folder, SINGLE), rawFile(`{"abcd":${ONE}}`, 4));
    await expect(checkpoint.read("a")).rejects.toMatchObject({
      code: "invalid_checkpoint",
      message: expect.stringContaining("since the model was opened"),
    });
  });
});

describe("what is asked for and cannot be had", () => {
  test("a tensor that is not there", async () => {
    const folder = await makeFolder({ [SINGLE]: rawFile(`{"a":${ONE}}`, 4) });
    const checkpoint = await Checkpoint.open(folder);
    expect(checkpoint.has("b")).toBe(false);
    expect(() => checkpoint.get("b")).toThrow(`The weights in ${folder} have no tensor "b".`);
    await expect(checkpoint.read("toString")).rejects.toMatchObject({ code: "invalid_checkpoint" });
  });

  test.each(["I64", "F64", "U8", "F8_E4M3", "BOOL"])("floats of a tensor stored as %s", async (dtype) => {
    const length = dtype.endsWith("64") ? 8 : 1;
    const folder = await makeFolder({
      [SINGLE]: rawFile(`{"a":${tensorJson(dtype, [1], 0, length)}}`, length),
    });
    const checkpoint = await Checkpoint.open(folder);
    expect(checkpoint.get("a").dtype).toBe(dtype);
    await expect(checkpoint.read("a")).rejects.toMatchObject({
      code: "unsupported_model",
      message: expect.stringContaining(`stored as ${dtype}`),
    });
  });

  test("empty tensors, which are no error", async () => {
    const empty = tensorJson("F32", [0, 3], 0, 0);
    const folder = await makeFolder({
      [SINGLE]: rawFile(`{"b":${ONE},"a":${empty},"c":${tensorJson("F16", [0], 4, 4)}}`, 4),
    });
    const checkpoint = await Checkpoint.open(folder);
    expect(checkpoint.names()).toEqual(["a", "b", "c"]);
    expect((await checkpoint.read("a")).length + (await checkpoint.read("c")).length).toBe(0);
  });
});

describe("a checkpoint of several folders", () => {
  const values = (...numbers: number[]): Float32Array => Float32Array.from(numbers);
  const folderOf = async (tensors: Record<string, Float32Array>): Promise<string> => {
    const folder = await makeFolder();
    const written = Object.entries(tensors).map(([name, data]) => ({
      name,
      dtype: "F32" as const,
      shape: [data.length],
      data,
    }));
    await writeSafetensors(path.join(folder, SINGLE), written);
    return folder;
  };

  test("holds the tensors of all, a later one in place of an earlier one, under the names that it gives them", async () => {
    const text = await folderOf({ "model.norm": values(1), "model.bias": values(2), rotary: values(3) });
    const tower = await folderOf({ "vision.norm": values(4), "model.bias": values(5) });
    const checkpoint = await Checkpoint.compose([
      { folder: text, tensorName: (name) => (name === "rotary" ? undefined : `text.${name}`) },
      { folder: tower, tensorName: (name) => (name.startsWith("model") ? `text.${name}` : name) },
    ]);
    expect(checkpoint.names().sort()).toEqual(["text.model.bias", "text.model.norm", "vision.norm"]);
    expect([...(await checkpoint.read("text.model.norm"))]).toEqual([1]);
    expect([...(await checkpoint.read("text.model.bias"))]).toEqual([5]);
    expect([...(await checkpoint.read("vision.norm"))]).toEqual([4]);
    expect(checkpoint.get("vision.norm").file).toBe(path.join(tower, SINGLE));
    expect(checkpoint.files().map((file) => file.path)).toEqual(
      [text, tower].map((of) => path.join(of, SINGLE)),
    );
    expect(checkpoint.folder).toBe(path.dirname(text));
    expect(() => checkpoint.get("rotary")).toThrow(
      `The weights in ${text} and ${tower} have no tensor "rotary".`,
    );
  });

  test("is refused where one source has two tensors of one name, or no weights", async () => {
    const twice = await folderOf({ "lm_head.weight": values(1), "language_model.lm_head.weight": values(2) });
    expect((await refusal(twice, { tensorName })).message).toContain("is a second");
    const empty = await makeFolder();
    await expect(Checkpoint.compose([{ folder: twice }, { folder: empty }])).rejects.toMatchObject({
      code: "invalid_checkpoint",
      message: expect.stringContaining(`${empty} has neither`),
    });
  });
});
