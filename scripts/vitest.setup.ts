import { vi } from "vitest";
import { TEST_TIMEOUTS } from "@llava/testing/test-timeouts";

// vitest has a setting for `expect.poll`, but none for `vi.waitFor`.
const { waitFor } = vi;
vi.waitFor = (callback, options) =>
  waitFor(callback, typeof options === "number" ? options : { ...TEST_TIMEOUTS, ...options });
