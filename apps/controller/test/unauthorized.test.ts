/** Tests requests without the cluster's token: they are refused by status, and no address that they name is called. */
import { createServer as createTcpServer, type Server } from "node:net";
import { addChallengeRoute, createServer, LOOPBACK_ONLY, signedHeaders, type Access } from "@llava/server";
import type { FastifyInstance } from "fastify";
import { afterEach, describe, expect, it } from "vitest";
import { askAll, strictAccess, TOKEN, wrongCells } from "@llava/testing/role-matrix";
import { closeAll, closeLater, modelsOf, post, startController, type Reply } from "./support/stand-in.ts";

afterEach(closeAll);

const CLUSTER: Access = { ...LOOPBACK_ONLY, token: TOKEN };
const STATUS = { model_names: ["m"], speed: 1, queue_length: 0 };

/** A server to which an attacker would like the controller to connect; it counts its connections. */
async function startCanary(): Promise<{ readonly address: string; readonly numConnections: () => number }> {
  let numConnections = 0;
  const server: Server = createTcpServer((socket) => {
    numConnections += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closeLater(() => new Promise((resolve) => server.close(() => resolve())));
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("the canary has no port");
  return { address: `http://127.0.0.1:${bound.port}`, numConnections: () => numConnections };
}

/** A worker that has `token` and names `claims` as its address, or its true one. */
async function startMember(
  token: string,
  claims?: string,
): Promise<{ readonly url: string; readonly app: FastifyInstance }> {
  const app = createServer({
    bodies: "json",
    seeAlso: "",
    access: { keys: null, token, anonymous: "none" },
  });
  let url = "";
  addChallengeRoute(app, token, () => ({ address: claims ?? url, incarnation: null }));
  app.post("/worker_get_status", { config: { role: "user" } }, async () => STATUS);
  app.post(
    "/worker_generate_stream",
    { config: { role: "user" } },
    async () => '{"text":"P","error_code":0}\0',
  );
  url = await app.listen({ host: "127.0.0.1", port: 0 });
  closeLater(() => app.close());
  return { url, app };
}

function registration(address: string, status: object | null = STATUS): string {
  return JSON.stringify({ worker_name: address, check_heart_beat: true, worker_status: status });
}

function signedPost(url: string, path: string, body: string, token = TOKEN): Promise<Reply> {
  return post(url + path, body, signedHeaders(token, "POST", path, body));
}

describe("registration without the cluster's token", () => {
  it("is refused without the token, with another one and with a forged signature; no address is called", async () => {
    const { url } = await startController({ access: CLUSTER });
    const canary = await startCanary();
    for (const body of [registration(canary.address), registration(canary.address, null)]) {
      const forged = signedHeaders("another token of ours", "POST", "/register_worker", body);
      const ofAnother = signedHeaders(TOKEN, "POST", "/register_worker", registration("http://127.0.0.1:1"));
      for (const headers of [{}, forged, ofAnother, { authorization: `Bearer ${TOKEN}` }]) {
        expect((await post(`${url}/register_worker`, body, headers)).status).toBe(401);
      }
    }
    expect(await modelsOf(url)).toEqual({ models: [] });
    await post(`${url}/refresh_all_workers`);
    const asked = await post(`${url}/v1/chat/completions`, { model: "m", messages: [] });
    expect(asked.status).toBe(503);
    expect(canary.numConnections()).toBe(0);
    const member = await startMember(TOKEN);
    expect((await signedPost(url, "/register_worker", registration(member.url))).status).toBe(200);
    expect(await modelsOf(url)).toEqual({ models: ["m"] });
  });

  it("without a token takes this machine's workers only, and none that comes through a proxy", async () => {
    const { url } = await startController();
    const canary = await startCanary();
    for (const address of [
      "http://198.51.100.7:40000",
      "http://worker.example:40000",
      "http://[2001:db8::1]:40000",
    ]) {
      const reply = await post(`${url}/register_worker`, registration(address, null));
      expect(reply.status).toBe(403);
      expect(reply.text).toContain("--cluster-token-file");
    }
    const proxied = { "x-forwarded-for": "203.0.113.9" };
    expect((await post(`${url}/register_worker`, registration(canary.address, null), proxied)).status).toBe(
      403,
    );
    expect(canary.numConnections()).toBe(0);
    expect((await post(`${url}/register_worker`, registration("http://localhost:1"))).status).toBe(200);
    expect(await modelsOf(url)).toEqual({ models: ["m"] });
  });

  it("with networks named, no request makes the controller call an address outside them", async () => {
    const { url } = await startController({
      access: CLUSTER,
      workerNetworks: ["127.0.0.1/32", "10.0.0.0/8"],
    });
    const canary = await startCanary();
    const { port } = new URL(canary.address);
    // All of these addresses lead to the canary.
    for (const host of ["localhost", "127.0.0.2", "[::ffff:127.0.0.3]"]) {
      const address = `http://${host}:${port}`;
      const reply = await signedPost(url, "/register_worker", registration(address, null));
      expect(reply.status).toBe(403);
      expect(reply.text).toContain("--worker-network");
    }
    expect(canary.numConnections()).toBe(0);
    const member = await startMember(TOKEN);
    expect((await signedPost(url, "/register_worker", registration(member.url))).status).toBe(200);
  });

  it("a page that the operator looks at cannot register either", async () => {
    const { url } = await startController();
    const canary = await startCanary();
    const headers = { origin: "https://evil.example" };
    expect((await post(`${url}/register_worker`, registration(canary.address, null), headers)).status).toBe(
      403,
    );
    expect(canary.numConnections()).toBe(0);
  });
});

describe("the challenge", () => {
  it("refuses a member that names another's address, one of another cluster, and one that does not listen", async () => {
    const { url } = await startController({ access: CLUSTER });
    const honest = await startMember(TOKEN);
    const liar = await startMember(TOKEN, honest.url);
    const foreign = await startMember("another token of ours");
    const canary = await startCanary();
    for (const address of [liar.url, foreign.url, canary.address]) {
      const reply = await signedPost(url, "/register_worker", registration(address));
      expect(reply.status).toBe(403);
      expect(reply.text).toContain("was not taken in");
    }
    expect(await modelsOf(url)).toEqual({ models: [] });
    expect((await signedPost(url, "/register_worker", registration(honest.url))).status).toBe(200);
  });
});

describe("heartbeats", () => {
  it("that are forged, replayed or not signed change nothing", async () => {
    const { url } = await startController({ access: CLUSTER });
    const member = await startMember(TOKEN);
    await signedPost(url, "/register_worker", registration(member.url));
    const path = "/receive_heart_beat";
    const beat = JSON.stringify({ worker_name: member.url, queue_length: 3 });
    const forged = JSON.stringify({ worker_name: member.url, queue_length: 0 });
    const headers = signedHeaders(TOKEN, "POST", path, beat);
    expect((await post(url + path, forged, headers)).status).toBe(401);
    expect((await post(url + path, beat)).status).toBe(401);
    expect((await signedPost(url, path, beat, "another token of ours")).status).toBe(401);
    const good = signedHeaders(TOKEN, "POST", path, beat);
    expect(await post(url + path, beat, good)).toMatchObject({
      status: 200,
      text: expect.stringContaining('"exist":true'),
    });
    expect(await post(url + path, beat, good)).toMatchObject({
      status: 401,
      text: expect.stringContaining("used before"),
    });
  });
});

it("the controller signs what it relays: its worker serves it and refuses all other requests", async () => {
  const { url } = await startController({ access: CLUSTER });
  const member = await startMember(TOKEN);
  await signedPost(url, "/register_worker", registration(member.url));
  const wire = { model: "m", prompt: "P" };
  expect((await post(`${member.url}/worker_generate_stream`, wire)).status).toBe(401);
  expect((await post(`${url}/worker_generate_stream`, wire)).text).toBe('{"text":"P","error_code":0}\0');
  // The body is so large that only its length is signed.
  const large = { ...wire, stop: "x".repeat(60_000), images: ["x".repeat(3_000)] };
  expect((await post(`${url}/worker_generate_stream`, large)).status).toBe(200);
});

it("every route takes requests of its role, and refuses all others", async () => {
  const { url, controller } = await startController({
    access: strictAccess(true),
    server: { clients: { burst: 1_000, requestsPerMinute: 1e6 } },
  });
  const cells = await askAll(controller.app, url, true);
  expect(wrongCells(cells)).toEqual([]);
  const roles = Object.fromEntries(cells.map(({ route, role }) => [route, role]));
  expect(roles).toMatchObject({
    "POST /register_worker": "cluster",
    "POST /receive_heart_beat": "cluster",
    "POST /refresh_all_workers": "admin",
    "POST /v1/chat/completions": "user",
    "POST /worker_generate_stream": "user",
    "GET /health": "public",
  });
});
