/** Tests F18: a controller that may open no more files refuses connections, and takes them again when it may. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { until } from "../support/stand-in.ts";
import { controllerHealth, startControllerProcess } from "./fault-fleet.ts";

const PRLIMIT = "/usr/bin/prlimit";
/** The files that it may open beyond those that it has. */
const ROOM = 8;

it.skipIf(!existsSync(PRLIMIT))(
  "a controller without files left goes on, and serves when there are some",
  async () => {
    const { child, address } = await startControllerProcess();
    await controllerHealth(address);
    const open = readdirSync(`/proc/${child.pid}/fd`).length;
    execFileSync(PRLIMIT, ["--pid", String(child.pid), `--nofile=${open + ROOM}:${open + ROOM}`]);
    const { hostname, port } = new URL(address);
    const sockets: Socket[] = [];
    for (let i = 0; i < 4 * ROOM; i++) {
      const socket = connect(Number(port), hostname);
      // Connections for which there is no file are reset, or wait.
      socket.on("error", () => {});
      sockets.push(socket);
    }
    await Promise.all(
      sockets.map(
        async (socket) => await Promise.race([once(socket, "connect"), once(socket, "close"), sleep(500)]),
      ),
    );
    await sleep(200);
    // There was no room for all of them.
    expect(readdirSync(`/proc/${child.pid}/fd`).length).toBeLessThan(open + 2 * ROOM);
    expect(child.exitCode).toBeNull();
    for (const socket of sockets) socket.destroy();
    await until(async () => (await controllerHealth(address).catch(() => null)) !== null);
    child.kill("SIGTERM");
    await until(() => child.exitCode !== null || child.signalCode !== null);
    expect(child.exitCode).toBe(0);
  },
);
