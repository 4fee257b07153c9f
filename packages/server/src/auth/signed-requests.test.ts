import { describe, expect, test } from "vitest";
import { createVerifier, signedHeaders } from "./signed-requests.ts";

const TOKEN = "a token of enough length";
const BODY = '{"worker_name":"http://127.0.0.1:1"}';
const PATH = "/receive_heart_beat";

function signed(body: string | null = BODY, token = TOKEN): Record<string, string> {
  return signedHeaders(token, "POST", PATH, body);
}

test("a signed request is verified with the same token; without a token nothing is signed", () => {
  const verdict = createVerifier(TOKEN).verify("POST", PATH, signed());
  expect(verdict).toMatchObject({
    isValid: true,
    content: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
  });
  expect(signedHeaders(null, "POST", PATH, BODY)).toEqual({});
});

test("a body in pieces is signed as a whole", () => {
  const content = (body: string | Uint8Array[]): unknown =>
    signedHeaders(TOKEN, "POST", PATH, body)["x-llava-content"];
  expect(content([Buffer.from(BODY.slice(0, 5)), Buffer.from(BODY.slice(5))])).toBe(content(BODY));
  expect(content([Buffer.alloc(65_536), Buffer.alloc(1)])).toBe("length=65537");
});

test("no header of a signed request has the token", () => {
  expect(JSON.stringify(signed())).not.toContain(TOKEN);
});

test("the length of a large body is signed", () => {
  const verify = createVerifier(TOKEN).verify;
  expect(verify("POST", PATH, signed("x".repeat(65_537)))).toMatchObject({ content: { length: 65_537 } });
  expect(verify("POST", PATH, signed("x".repeat(65_536)))).toMatchObject({ content: { length: null } });
});

describe("the verifier of signatures refuses", () => {
  test.each<[string, (headers: Record<string, string>) => unknown, string]>([
    ["another token", () => signed(BODY, `${TOKEN}!`), "does not fit"],
    [
      "another body's hash",
      (headers) => ({ ...headers, "x-llava-content": signed("{}")["x-llava-content"] }),
      "does not fit",
    ],
    [
      "another date",
      (headers) => ({ ...headers, "x-llava-date": "2026-01-01T00:00:00.000Z" }),
      "does not fit",
    ],
    ["another nonce", (headers) => ({ ...headers, "x-llava-nonce": "0".repeat(32) }), "does not fit"],
    ["a short signature", (headers) => ({ ...headers, "x-llava-signature": "00" }), "does not fit"],
    ["no nonce", (headers) => ({ ...headers, "x-llava-nonce": "" }), "incomplete"],
    [
      "a small body by its length",
      (headers) => ({ ...headers, "x-llava-content": "length=3" }),
      "incomplete",
    ],
  ])("%s", (_name, change, sentence) => {
    const headers = change(signed());
    const verdict = createVerifier(TOKEN).verify("POST", PATH, Object.assign({}, headers));
    expect(verdict).toMatchObject({ isValid: false, sentence: expect.stringContaining(sentence) });
  });

  test("a signature of another path or method", () => {
    const { verify } = createVerifier(TOKEN);
    expect(verify("POST", "/register_worker", signed()).isValid).toBe(false);
    expect(verify("GET", PATH, signed()).isValid).toBe(false);
  });

  test("a nonce that was used, for as long as its date is valid", () => {
    let nowMs = Date.now();
    const { verify } = createVerifier(TOKEN, () => nowMs);
    const headers = signed();
    expect(verify("POST", PATH, headers).isValid).toBe(true);
    for (const laterMs of [0, 59_000]) {
      nowMs += laterMs;
      expect(verify("POST", PATH, headers)).toMatchObject({
        sentence: expect.stringContaining("used before"),
      });
    }
  });

  test("a date more than a minute away, on either side", () => {
    for (const awayMs of [-61_500, 61_500]) {
      const { verify } = createVerifier(TOKEN, () => Date.now() + awayMs);
      expect(verify("POST", PATH, signed())).toMatchObject({ sentence: expect.stringContaining("clocks") });
    }
  });
});
