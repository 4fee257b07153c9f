/** The roles of a worker's routes: in a cluster they serve its controller and callers with a key. */
import { addChallengeRoute, type Access } from "@llava/server";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { askAll, strictAccess, TOKEN, wrongCells } from "@llava/testing/role-matrix";
import { buildApp } from "../src/worker-app.ts";
import { startServer, type TestServer } from "./support/worker-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server[Symbol.asyncDispose]());

test("every route lets in the callers of its role and no others", async () => {
  const access = strictAccess(true);
  const app = buildApp(server.service, pino({ level: "silent" }), {
    access,
    clients: { burst: 1_000, requestsPerMinute: 1e6 },
  });
  addChallengeRoute(app, TOKEN, () => ({ address: "http://127.0.0.1:1", incarnation: null }));
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  try {
    const cells = await askAll(app, url, true);
    expect(wrongCells(cells)).toEqual([]);
    const roles = Object.fromEntries(cells.map(({ route, role }) => [route, role]));
    expect(roles).toMatchObject({
      "POST /cluster_challenge": "cluster",
      "POST /worker_generate_stream": "user",
      "POST /v1/chat/completions": "user",
      "GET /health": "public",
    });
  } finally {
    await app.close();
  }
});

test("with a token and no keys programs of this machine are refused too, but for the public routes", async () => {
  const access: Access = { keys: null, token: TOKEN, anonymous: "none" };
  const app = buildApp(server.service, pino({ level: "silent" }), { access });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  try {
    const response = await fetch(`${url}/v1/models`);
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: "unauthorized" } });
    expect((await fetch(`${url}/health`)).status).toBe(200);
  } finally {
    await app.close();
  }
});
