/** Images by address: what is fetched, and that of all else nothing is so much as connected to. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ImageFetcher } from "../../src/images/fetch/image-fetcher.ts";
import { isPublicAddress } from "../../src/images/fetch/public-address.ts";
import { codeOf, FILE, log, startFetchStage, typed, type FetchStage } from "../support/fetch-stage.ts";
import { imageHost, type Host, type NameServer } from "../support/image-hosts.ts";

let stage: FetchStage;
let host: Host;
let names: NameServer;
let get: FetchStage["get"];

beforeAll(async () => {
  stage = await startFetchStage();
  ({ host, names, get } = stage);
});
afterAll(() => stage[Symbol.asyncDispose]());

// Whatever was asked for: the private server was not reached.
afterEach(() => expect(stage.trap.seen).toEqual([]));

describe("is fetched", () => {
  test.each([
    "http://pictures.example:PORT/a.png",
    "HTTP://PICTURES.Example.:PORT/a.png?q=1#part",
    "http://good-alias.example:PORT/a.png",
    "http://pictures.example:PORT/octets",
    "http://pictures.example:PORT/parameters",
  ])("%s", async (url) => {
    expect(Buffer.from(await get(url)).equals(FILE)).toBe(true);
  });

  test("with the name as host and none of ours beside it", async () => {
    await get("http://pictures.example:PORT/seen?a=b#c");
    expect(host.seen.at(-1)).toBe("GET /seen?a=b pictures.example");
  });
});

describe("U01 to U28: what the address itself says", () => {
  test.each([
    ["U01", "http://127.0.0.1:PORT/"],
    ["U02 decimal", "http://2130706433:PORT/"],
    ["U03 hexadecimal", "http://0x7f.1:PORT/"],
    ["U03", "http://0x7f000001:PORT/"],
    ["U04 octal", "http://0177.0.0.1:PORT/"],
    ["U05 short", "http://127.1:PORT/"],
    ["U06 full width", "http://１２７.0.0.1:PORT/"],
    ["U06 other dots", "http://127。0。0。1:PORT/"],
    ["U07 IPv6", "http://[::1]:PORT/"],
    ["U08 mapped", "http://[::ffff:127.0.0.1]:PORT/"],
    ["U08", "http://[::ffff:7f00:1]:PORT/"],
    ["U09 NAT64", "http://[64:ff9b::7f00:1]:PORT/"],
    ["U10 6to4", "http://[2002:7f00:1::]:PORT/"],
    ["U11 unspecified", "http://0.0.0.0:PORT/"],
    ["U11", "http://0:PORT/"],
    ["U11", "http://[::]:PORT/"],
    ["U12 metadata", "http://169.254.169.254/latest/meta-data/"],
    ["U13 public number", "http://8.8.8.8/"],
    ["U14 localhost", "http://localhost:PORT/"],
    ["U14", "http://localhost.:PORT/"],
    ["U14", "http://a.localhost:PORT/"],
    ["U15 user", "http://anna@pictures.example:PORT/"],
    ["U15", "http://:secret@pictures.example:PORT/"],
    ["U16 user that looks like a host", "http://pictures.example@127.0.0.1:PORT/"],
    ["U17 backslash", "http://127.0.0.1:PORT\\@pictures.example/"],
    ["U18 fragment", "http://127.0.0.1:PORT#@pictures.example/"],
    ["U19 tab", "ht\ttp://127.0.0.1:PORT/"],
    ["U19 line break", "http://127.0.0\n.1:PORT/"],
    ["U20 NUL", "http://127.0.0.1%00.pictures.example:PORT/"],
    ["U20", "http://127.0.0.1\0.pictures.example:PORT/"],
    ["U21 port 0", "http://pictures.example:0/"],
    ["U21 port 65536", "http://pictures.example:65536/"],
    ["U22 another port", "http://pictures.example:22/"],
    ["U23 file", "file:///etc/passwd"],
    ["U23", "file://pictures.example/etc/passwd"],
    ["U24 other schemes", "ftp://pictures.example/a.png"],
    ["U24", "gopher://127.0.0.1:PORT/_GET"],
    ["U24", "javascript:alert(1)"],
    ["U24", "blob:http://pictures.example/1"],
    ["U25 one label", "http://canary:PORT/"],
    ["U26 inner names", "http://printer.local:PORT/"],
    ["U26", "http://metadata.google.internal:PORT/"],
    ["U26", "http://router.home.arpa:PORT/"],
    ["U27 no host", "http://"],
    ["U27", "http://.:PORT/"],
    ["U27", "http://pictures.example..:PORT/"],
    ["U28 a path", "/etc/passwd"],
    ["U28", "../../etc/passwd"],
    ["U28", "//127.0.0.1:PORT/"],
  ])("%s: %s", async (_number, url) => {
    const before = names.seen.length;
    expect(await codeOf(get(url))).toBe("image_url_blocked");
    expect(names.seen).toHaveLength(before);
  });

  test("http without its flag, and hosts that are not on the list", async () => {
    const strict = { policy: { allowsHttp: false } };
    expect(await codeOf(get("http://pictures.example:PORT/", strict))).toBe("image_url_blocked");
    const listed = { policy: { domains: ["PICTURES.example", "*.good.example"] } };
    expect(await codeOf(get("http://pictures.example:PORT/", listed))).toBe("fetched");
    for (const other of [
      "good-alias.example",
      "xpictures.example",
      "pictures.example.evil.example",
      "good.example",
    ])
      expect(await codeOf(get(`http://${other}:PORT/`, listed))).toBe("image_url_blocked");
  });
});

describe("U29 to U33: what the name leads to", () => {
  test.each([
    ["U29 a private address", "private.example"],
    ["U29 a link-local address", "metadata.example"],
    ["U30 one of several that is not public", "mixed.example"],
    ["U30 one of the other kind that is not public", "mixed6.example"],
    ["U31 another name's private address", "alias.example"],
    ["U32 an IPv6 address of this machine", "only6.example"],
    ["U32 a translated address", "nat64.example"],
  ])("%s is blocked", async (_number, name) => {
    expect(await codeOf(get(`http://${name}:PORT/`))).toBe("image_url_blocked");
    expect(names.seen).toContain(`A ${name}`);
  });

  test("U33 a name that changes is looked up once, and where it led then is where we go", async () => {
    expect(await codeOf(get("http://rebinding.example:PORT/a"))).toBe("fetched");
    expect(names.seen.filter((line) => line === "A rebinding.example")).toHaveLength(1);
    expect(await codeOf(get("http://rebinding.example:PORT/b"))).toBe("image_url_blocked");
  });

  test.each(["missing.example", "silent.example", "many.example"])("%s fails", async (name) => {
    expect(await codeOf(get(`http://${name}:PORT/`))).toBe("image_fetch_failed");
  });

  test("a host with an IPv6 address alone is reached", async () => {
    const six = await imageHost(typed("image/png", FILE), { address: "::1" });
    const options = { isPublic: (address: string) => address === "::1", policy: { ports: [six.port] } };
    expect(await codeOf(get(`http://only6.example:${six.port}/`, options))).toBe("fetched");
    await six[Symbol.asyncDispose]();
  });

  test("our own addresses and networks that were denied are not public", async () => {
    const denied = new ImageFetcher({ policy: { allowsHttp: true } });
    for (const address of [
      "127.0.0.1",
      "::ffff:10.0.0.1",
      "fe80::1%lo",
      "no address",
      "198.18.0.1",
      "100.64.0.1",
    ])
      expect(isPublicAddress(address)).toBe(false);
    expect(isPublicAddress("93.184.215.14")).toBe(true);
    expect(isPublicAddress("2606:4700::1111")).toBe(true);
    expect(
      await codeOf(
        denied.fetch("http://localhost/", { client: null, signal: AbortSignal.timeout(1_000), log }),
      ),
    ).toBe("image_url_blocked");
  });
});
