/** Limits the open connections of a server, before there is a request: in total, and from one address. */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { clientAddress, isLoopbackHost } from "../network/hosts.ts";

export interface ConnectionLimits {
  readonly total: number;
  /** Connections from one address of another machine; on this machine a proxy may connect for many clients. */
  readonly perAddress: number;
}

/** Closes refused connections without a response, as no request was sent yet. */
export function limitConnections(server: Server, limits: ConnectionLimits): void {
  server.maxConnections = limits.total;
  /** Open connections by address; at most `total` entries. */
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
