import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { openAccess, TOKEN_VARIABLE } from "./access.ts";
import { newApiKey } from "./api-keys.ts";

let folder: string;
let apiKeyFile: string;
let clusterTokenFile: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "llava-access-"));
  apiKeyFile = join(folder, "keys.txt");
  clusterTokenFile = join(folder, "cluster.txt");
  await writeFile(apiKeyFile, `${newApiKey("anna").line}\n`);
  await writeFile(clusterTokenFile, "a token of enough length\n");
});
afterAll(async () => rm(folder, { recursive: true }));
afterEach(() => {
  delete process.env[TOKEN_VARIABLE];
});

const LOCAL = { host: "127.0.0.1" };
const OPEN = { host: "0.0.0.0" };

test.each(["controller", "worker", "web"] as const)(
  "a %s is not opened to a network by accident",
  (program) => {
    expect(openAccess(LOCAL, program)).toEqual({ keys: null, token: null, anonymous: "loopback" });
    for (const host of ["0.0.0.0", "::", "10.0.0.5", "gpu-box", ""]) {
      expect(() => openAccess({ host }, program)).toThrow("--allow-anonymous");
    }
    expect(openAccess({ ...OPEN, allowAnonymous: true }, program).anonymous).toBe("all");
    expect(openAccess({ ...OPEN, apiKeyFile }, program).anonymous).toBe("none");
  },
);

test("with a cluster token alone a controller serves this machine, a worker only its controller", () => {
  expect(openAccess({ ...OPEN, clusterTokenFile }, "controller").anonymous).toBe("loopback");
  expect(openAccess({ ...OPEN, clusterTokenFile }, "worker").anonymous).toBe("none");
  expect(openAccess({ ...LOCAL, clusterTokenFile }, "worker").token).toBe("a token of enough length");
});

test("the cluster token is removed from the environment; the page's server gets none", () => {
  process.env[TOKEN_VARIABLE] = "0123456789abcdef";
  expect(openAccess(LOCAL, "worker").token).toBe("0123456789abcdef");
  expect(process.env[TOKEN_VARIABLE]).toBeUndefined();
  process.env[TOKEN_VARIABLE] = "0123456789abcdef";
  expect(openAccess(LOCAL, "web").token).toBeNull();
  expect(() => openAccess(OPEN, "web")).toThrow("--allow-anonymous");
});

test("a cluster token that is too short, and missing files, are refused with a sentence", () => {
  process.env[TOKEN_VARIABLE] = "short";
  expect(() => openAccess(LOCAL, "controller")).toThrow("has 5 characters");
  expect(() => openAccess({ ...LOCAL, clusterTokenFile: join(folder, "no") }, "worker")).toThrow(
    "cannot be read",
  );
  expect(() => openAccess({ ...LOCAL, apiKeyFile: join(folder, "no") }, "worker")).toThrow("llava keys add");
});
