import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newApiKey, openApiKeys, parseKeyFile } from "./api-keys.ts";

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "llava-keys-"));
  file = join(folder, "keys.txt");
});
afterAll(async () => rm(folder, { recursive: true }));

const HEX = "0".repeat(64);

test("an API key is valid until its line is removed; a wrong file changes nothing", async () => {
  const anna = newApiKey("anna");
  const ben = newApiKey("ben", ["admin", "unlimited"]);
  await writeFile(file, `# ours\n${anna.line}\r\n\n${ben.line} # watches\n`);
  const keys = openApiKeys(file);
  expect(keys.find(anna.secret)).toMatchObject({ name: "anna", isAdmin: false, isUnlimited: false });
  expect(keys.find(ben.secret)).toMatchObject({ name: "ben", isAdmin: true, isUnlimited: true });
  expect(keys.find(`${anna.secret}x`)).toBeNull();
  expect(keys.find("")).toBeNull();
  await writeFile(file, `${ben.line}\n`);
  expect(keys.find(anna.secret)).not.toBeNull();
  expect(keys.reload()).toBe(1);
  expect(keys.find(anna.secret)).toBeNull();
  await writeFile(file, "nonsense\n");
  expect(() => keys.reload()).toThrow("Line 1");
  expect(keys.find(ben.secret)).not.toBeNull();
});

test("the file of API keys holds hashes only", () => {
  const { secret, line } = newApiKey("anna");
  expect(secret).toMatch(/^llava-[\w-]{43}$/);
  expect(line).toMatch(/^anna [0-9a-f]{64}$/);
  expect(line).not.toContain(secret.slice(6, 20));
});

test.skipIf(process.platform === "win32")(
  "a file of API keys that others can read is recognized",
  async () => {
    await writeFile(file, `anna ${HEX}\n`);
    await chmod(file, 0o644);
    const keys = openApiKeys(file);
    expect(keys.isReadableByOthers).toBe(true);
    await chmod(file, 0o600);
    expect(keys.isReadableByOthers).toBe(false);
  },
);

describe("a wrong file of API keys is refused with its line", () => {
  test.each([
    ["anna", "Line 1 of keys.txt: after the name comes"],
    [`anna ${HEX.slice(1)}`, "64 hex digits"],
    [`\n/etc ${HEX}`, "Line 2 of keys.txt"],
    [`anna ${HEX} root`, '"root" is not known'],
    [`anna ${HEX}\nanna ${HEX}`, "the name anna is there twice"],
    ["# a comment", "has no key"],
    [Array.from({ length: 1025 }, (_, index) => `k${index} ${HEX}`).join("\n"), "1024 is the limit"],
  ])("%j", (text, sentence) => {
    expect(() => parseKeyFile(text, "keys.txt")).toThrow(sentence);
  });

  test("a missing file", () => {
    expect(() => openApiKeys(join(folder, "none.txt"))).toThrow("llava keys add NAME");
  });
});
