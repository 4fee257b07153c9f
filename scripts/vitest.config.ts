import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { CHROMIUM } from "./page/chromium.ts";
import { TEST_TIMEOUTS } from "@llava/testing/test-timeouts";

// Where LLAVA_REQUIRE_BROWSER is set, the browser's tests run in any case, and fail without one.
const hasBrowser = existsSync(CHROMIUM) || process.env["LLAVA_REQUIRE_BROWSER"] !== undefined;
if (!hasBrowser)
  console.warn(`There is no browser at ${CHROMIUM}: the tests of the page (*.browser.test.ts) are left out.`);

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    include: ["{packages,apps,scripts}/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", ...(hasBrowser ? [] : ["**/*.browser.test.ts"])],
    // Suites that load ONNX Runtime need a process each: native add-ons do not survive worker threads well.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: TEST_TIMEOUTS },
    setupFiles: ["scripts/vitest.setup.ts"],
  },
});
