/** The address that others can reach this worker by, derived so that a forgotten flag does not advertise the wrong one. */
import { networkInterfaces } from "node:os";

/**
 * `http://host:port` as a controller should call it. A host that means "every interface" becomes the first address that
 * other machines can reach, or the loopback address when there is none.
 */
export function advertisedAddress(host: string, port: number, interfaces = networkInterfaces()): string {
  const isEvery = host === "" || host === "0.0.0.0" || host === "::";
  const name = isEvery ? outsideAddress(interfaces) : host;
  return `http://${name.includes(":") ? `[${name}]` : name}:${port}`;
}

function outsideAddress(interfaces: ReturnType<typeof networkInterfaces>): string {
  const addresses = Object.values(interfaces).flatMap((list) => list ?? []);
  return addresses.find((address) => !address.internal && address.family === "IPv4")?.address ?? "127.0.0.1";
}
