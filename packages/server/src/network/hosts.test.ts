import { hostname } from "node:os";
import { describe, expect, test } from "vitest";
import {
  clientAddress,
  isFromLoopback,
  isLoopbackHost,
  isOwnHost,
  isOwnOrigin,
  shortAddress,
} from "./hosts.ts";

test.each([
  ["127.0.0.1", true],
  ["127.8.9.10", true],
  ["localhost", true],
  ["LOCALHOST.", true],
  ["[::1]", true],
  ["::ffff:127.0.0.1", true],
  ["0.0.0.0", false],
  ["10.0.0.1", false],
  ["127.evil.example", false],
  ["localhost.evil.example", false],
  ["", false],
])("%s is this machine: %s", (host, isLoopback) => {
  expect(isLoopbackHost(host)).toBe(isLoopback);
});

test("a client behind a proxy is not on this machine", () => {
  expect(isFromLoopback("127.0.0.1", {})).toBe(true);
  expect(isFromLoopback("127.0.0.1", { "x-forwarded-for": "203.0.113.9" })).toBe(false);
  expect(isFromLoopback("127.0.0.1", { forwarded: "for=203.0.113.9" })).toBe(false);
  expect(isFromLoopback("203.0.113.9", {})).toBe(false);
});

describe("a request may name the host", () => {
  test.each([
    ["localhost:7860", "127.0.0.1", true],
    ["127.0.0.1:7860", "127.0.0.1", true],
    ["[::1]:7860", "::1", true],
    [undefined, "127.0.0.1", true],
    ["chat.example:443", "127.0.0.1", true],
    ["CHAT.example.", "127.0.0.1", true],
    ["10.0.0.7:7860", "10.0.0.7", true],
    ["10.0.0.7:7860", "0.0.0.0", true],
    [`${hostname()}:7860`, "0.0.0.0", true],
    ["evil.example", "127.0.0.1", false],
    ["evil.example", "0.0.0.0", false],
    ["10.0.0.7", "127.0.0.1", false],
    ["127.0.0.1.evil.example", "127.0.0.1", false],
    ["localhost:7860@evil.example", "127.0.0.1", false],
    ["evil.example/127.0.0.1", "127.0.0.1", false],
    ["", "127.0.0.1", false],
  ])("%s of a server on %s: %s", (host, boundTo, isOwn) => {
    expect(isOwnHost(host, boundTo, ["chat.example"])).toBe(isOwn);
  });
});

test.each([
  [undefined, true],
  ["http://127.0.0.1:7860", true],
  ["https://chat.example", true],
  ["http://127.0.0.1:3000", false],
  ["https://evil.example", false],
  ["http://127.0.0.1:7860.evil.example", false],
  ["null", false],
  ["chrome-extension://abc", false],
])("a page of the origin %s may send requests to 127.0.0.1:7860: %s", (origin, isOwn) => {
  expect(isOwnOrigin(origin, "127.0.0.1:7860", ["chat.example"])).toBe(isOwn);
});

test.each([
  ["203.0.113.9", "203.0.113.9"],
  ["::ffff:203.0.113.9", "203.0.113.9"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8::6", "2001:db8:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  [undefined, "unknown"],
])("the address %s is counted as the client %s", (address, client) => {
  expect(clientAddress(address)).toBe(client);
});

test.each([
  ["203.0.113.9", "203.0.113.0"],
  ["::ffff:203.0.113.9", "203.0.113.0"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1::"],
  ["2001:db8::6", "2001:db8:0::"],
  ["unknown", ""],
])("the address %s is shortened to %s", (address, kept) => {
  expect(shortAddress(address)).toBe(kept);
});
