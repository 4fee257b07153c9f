/**
 * Tests request paths that lead out of the page's folder, or to another site, on servers that parse them carelessly.
 */
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { statusOf, talk } from "@llava/testing/raw-http";
import { createApp } from "../../src/server/web-app.ts";

const SECRET = "nobody may read this";

let root: string;
let app: FastifyInstance;
let url: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "llava-paths-"));
  const pageFolder = join(root, "page");
  await mkdir(join(pageFolder, "assets"), { recursive: true });
  await writeFile(join(pageFolder, "index.html"), "<title>LLaVA</title>");
  await writeFile(join(pageFolder, "assets", "a.js"), "1;");
  await writeFile(join(root, "secret.txt"), SECRET);
  await mkdir(join(root, "page-secret"));
  await writeFile(join(root, "page-secret", "secret.txt"), SECRET);
  await symlink(join(root, "secret.txt"), join(pageFolder, "assets", "link.txt"));
  app = await createApp({ controllerUrl: "http://127.0.0.1:9", pageFolder });
  url = await app.listen({ host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  // The server still answers after each of them.
  expect(statusOf(await get("/assets/a.js"))).toBe(200);
  await app.close();
  await rm(root, { recursive: true });
});

/** Sends the path unchanged, which no client with a URL parser would do. */
async function get(path: string, more = ""): Promise<string> {
  return await talk(url, [`GET ${path} HTTP/1.1\r\nhost: localhost\r\n${more}connection: close\r\n\r\n`]);
}

describe("hostile paths: nothing outside the page's folder is read", () => {
  test.each([
    "/../secret.txt",
    "/assets/../../secret.txt",
    "/..%2fsecret.txt",
    "/%2e%2e/secret.txt",
    "/%2e%2e%2fsecret.txt",
    "/%252e%252e%252fsecret.txt",
    "/..\\secret.txt",
    "/..%5csecret.txt",
    "/assets/..;/..;/secret.txt",
    "/../page-secret/secret.txt",
    "//etc/passwd",
    "/%2fetc%2fpasswd",
    "/C:/secret.txt",
    "/\\\\?\\C:\\secret.txt",
    "/assets/a.js%00.txt",
    "/assets/link.txt",
    "/assets/",
    "/assets",
    `/${"long/".repeat(40)}`,
    `/${"long".repeat(70)}`,
    "http://localhost/../secret.txt",
  ])("%s", async (path) => {
    const answer = await get(path);
    expect([400, 403, 404]).toContain(statusOf(answer));
    expect(answer).not.toContain(SECRET);
    expect(answer).not.toContain("root:");
    expect(answer).not.toContain(root);
  });
});

describe("hostile paths: no redirect to another site", () => {
  test.each([
    "//evil.example",
    "/%5cevil.example",
    "////evil.example/..",
    "/\\evil.example",
    "/?next=//evil.example",
  ])("%s", async (path) => {
    const answer = await get(path);
    expect([200, 400, 403, 404]).toContain(statusOf(answer));
    expect(answer).not.toMatch(/^location:/im);
  });
});

test("no page of another origin may read an answer", async () => {
  for (const origin of ["https://evil.example", "null", "http://localhost.evil.example"]) {
    for (const path of ["/", "/health", "/v1/models"]) {
      expect(await get(path, `origin: ${origin}\r\n`)).not.toMatch(/^access-control-/im);
    }
  }
});
