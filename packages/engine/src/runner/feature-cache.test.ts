import { Value } from "@llava/runtime";
import { expect, it } from "vitest";
import { FeatureCache } from "./feature-cache.ts";

const features = (): Value => Value.wrap("float32", new Float32Array(2), [1, 2]);

it("the feature cache forgets what was not used for longest when it is over its limit", () => {
  using cache = new FeatureCache(20);
  for (const key of ["a", "b"]) cache.add(key, features(), 10);
  cache.lease("a")?.[Symbol.dispose]();
  cache.add("c", features(), 10);
  cache.trim();
  expect(["a", "b", "c"].filter((key) => cache.has(key))).toEqual(["a", "c"]);
  expect(cache.bytes).toBe(20);
});

it("the feature cache keeps what is in use, even over its limit, until every lease is given back", () => {
  using cache = new FeatureCache(0);
  const value = features();
  cache.add("a", value, 10);
  const leases = [cache.lease("a"), cache.lease("a")];
  cache.trim();
  expect(leases.map((lease) => lease?.features)).toEqual([value, value]);
  leases[0]?.[Symbol.dispose]();
  leases[0]?.[Symbol.dispose]();
  expect(cache.has("a")).toBe(true);
  leases[1]?.[Symbol.dispose]();
  expect([cache.has("a"), cache.bytes, cache.lease("a")]).toEqual([false, 0, undefined]);
  expect(() => value.data()).toThrow("disposed");
});

it("the feature cache has each image once", () => {
  using cache = new FeatureCache(100);
  cache.add("a", features(), 10);
  expect(() => cache.add("a", features(), 10)).toThrow("there already");
});
