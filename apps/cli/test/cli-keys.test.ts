/** Keys from the command that makes them to the server that knows them, as real processes. */
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { Llava, llava } from "./llava.ts";

let folder: string;
let file: string;
const started: Llava[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "llava-keys-"));
  file = join(folder, "keys.txt");
});
afterEach(async () => {
  for (const { child, ended } of started.splice(0)) {
    child.kill("SIGTERM");
    await ended;
  }
});
afterAll(async () => rm(folder, { recursive: true }));

async function add(name: string, ...flags: string[]): Promise<string> {
  const { code, out, err } = await llava("keys", "add", name, "--file", file, ...flags);
  expect(err).toContain(`This is the key of ${name}`);
  expect(code).toBe(0);
  return out.trim();
}

async function statusWith(url: string, key: string): Promise<number> {
  const response = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
  await response.arrayBuffer();
  return response.status;
}

test("a key is shown once and kept as a hash; a server takes it, and a later one after SIGHUP", async () => {
  const anna = await add("anna");
  const controller = new Llava("controller", "--port", "0", "--api-key-file", file);
  started.push(controller);
  await vi.waitFor(() => expect(controller.out).toContain('"msg":"ready"'));
  const url = /"address":"(http[^"]+)"/.exec(controller.out)?.[1] ?? "";
  expect(await statusWith(url, anna)).toBe(200);
  expect((await fetch(`${url}/v1/models`)).status).toBe(401);
  const ben = await add("ben", "--admin");
  expect(await statusWith(url, ben)).toBe(401);
  const lines = await readFile(file, "utf8");
  expect(lines).toMatch(/^anna [0-9a-f]{64}\nben [0-9a-f]{64} admin\n$/);
  expect(lines).not.toContain(anna);
  if (process.platform === "win32") return;
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  controller.child.kill("SIGHUP");
  await vi.waitFor(async () => expect(await statusWith(url, ben)).toBe(200));
  await writeFile(file, "nonsense\n");
  controller.child.kill("SIGHUP");
  await vi.waitFor(() => expect(controller.out).toContain("the old ones stay"));
  expect(await statusWith(url, anna)).toBe(200);
  expect(controller.out + controller.err).not.toContain(anna);
});

test("a name that is taken and one that is none are refused with a sentence", async () => {
  const other = join(folder, "other.txt");
  expect((await llava("keys", "add", "anna", "--file", other)).code).toBe(0);
  const twice = await llava("keys", "add", "anna", "--file", other);
  expect(twice).toMatchObject({
    code: 1,
    out: "",
    err: expect.stringContaining("the name anna is there twice"),
  });
  const wrong = await llava("keys", "add", "an na", "--file", other);
  expect(wrong).toMatchObject({ code: 1, out: "", err: expect.stringContaining("is not a key's name") });
});

test.each([
  ["controller", []],
  ["worker", ["--model-path", "nowhere"]],
  ["web", []],
  ["serve", ["--controller-port", "0", "--worker-port", "0"]],
])("llava %s is not opened to a network without keys, and says what to do", async (command, flags) => {
  const { code, out, err } = await llava(command, "--host", "0.0.0.0", "--port", "0", ...flags);
  expect(err).toContain("--allow-anonymous");
  expect(err).toContain("llava keys add");
  expect(code).toBe(1);
  expect(out).toBe("");
});
