import { vi } from "vitest";
import { PATIENCE } from "./patience.ts";

// vitest has a setting for `expect.poll`, but none for `vi.waitFor`.
const { waitFor } = vi;
vi.waitFor = (callback, options) =>
  waitFor(callback, typeof options === "number" ? options : { ...PATIENCE, ...options });
