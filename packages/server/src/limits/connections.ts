/** Limits on connections themselves, before there is a request: how many in all, and how many from one address. */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { clientAddress, isLoopbackHost } from "../auth/hosts.ts";

export interface ConnectionLimits {
  readonly total: number;
  /** From one address of another machine; whoever is on this machine may be a proxy for many. */
  readonly perAddress: number;
}

/** Refused connections are closed without a word: nothing was asked yet. */
export function limitConnections(server: Server, limits: ConnectionLimits): void {
  server.maxConnections = limits.total;
  /** At most `total` entries. */
  const numOpen = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    const address = clientAddress(socket.remoteAddress);
    const count = (numOpen.get(address) ?? 0) + 1;
    if (count > limits.perAddress && !isLoopbackHost(address)) {
      socket.destroy();
      return;
    }
    numOpen.set(address, count);
    socket.once("close", () => {
      const left = (numOpen.get(address) ?? 1) - 1;
      if (left === 0) numOpen.delete(address);
      else numOpen.set(address, left);
    });
  });
}
