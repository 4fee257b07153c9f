import { expect, test } from "vitest";
import { createAddressCheck, isNetwork } from "./networks.ts";

test.each(["10.1.0.0/16", "203.0.113.7/32", "fd00::/8", "::/0", "0.0.0.0/0"])("%s is a network", (text) => {
  expect(isNetwork(text)).toBe(true);
});

test.each([
  "10.1.0.0",
  "10.1/16",
  "10.1.0.0/33",
  "fd00::/129",
  "localhost/8",
  "fe80::1%eth0/64",
  "/8",
  "10.0.0.0/-1",
])("%s is no network", (text) => {
  expect(isNetwork(text)).toBe(false);
});

const check = createAddressCheck(["10.1.0.0/16", "fd00::/8"]);

test.each([
  "http://10.1.2.3:40000",
  "https://10.1.255.255",
  "http://[fd12::1]:40000/prefix",
  // The same machine by its IPv4 address in IPv6 clothes, and in other digits.
  "http://[::ffff:10.1.2.3]:40000",
  "http://0x0a010203:40000",
])("a worker at %s lies in an allowed network", (url) => {
  expect(() => check(url)).not.toThrow();
});

test.each([
  "http://10.2.0.1:40000",
  "http://127.0.0.1:40000",
  "http://[::1]:40000",
  "http://[::ffff:127.0.0.1]:40000",
  "http://169.254.169.254",
  "http://10.1.2.3.example:40000",
  "http://localhost:40000",
])("a worker at %s lies in no allowed network", (url) => {
  expect(() => check(url)).toThrow("--worker-network");
});

test("without allowed networks every address of a worker passes", () => {
  expect(() => createAddressCheck([])("http://anybody.example")).not.toThrow();
});
