import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// Suites that load ONNX Runtime need a process each: native add-ons do not survive worker threads well.
export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    include: ["{packages,apps,scripts}/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
