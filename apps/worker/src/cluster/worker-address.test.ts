import { expect, test } from "vitest";
import { advertisedAddress } from "./worker-address.ts";

const loopback = {
  address: "127.0.0.1",
  netmask: "255.0.0.0",
  mac: "",
  internal: true,
  cidr: null,
  family: "IPv4" as const,
};
const outside = { ...loopback, address: "10.0.0.7", internal: false };

test.each([
  ["127.0.0.1", "http://127.0.0.1:40000"],
  ["localhost", "http://localhost:40000"],
  ["worker-1.example", "http://worker-1.example:40000"],
  ["::1", "http://[::1]:40000"],
  ["0.0.0.0", "http://10.0.0.7:40000"],
  ["::", "http://10.0.0.7:40000"],
])("a worker on %s is reached by %s", (host, address) => {
  expect(advertisedAddress(host, 40_000, { lo: [loopback], eth0: [outside] })).toBe(address);
});

test("without any outside interface it is the loopback address", () => {
  expect(advertisedAddress("0.0.0.0", 1, { lo: [loopback] })).toBe("http://127.0.0.1:1");
});
