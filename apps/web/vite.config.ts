/**
 * Configures the bundle of the page: one script and one style sheet, nothing inline, so that the strict content
 * policy holds.
 */
import { fileURLToPath } from "node:url";

import { defineConfig } from "vite";

import { precompress } from "./precompress.ts";

const CONTROLLER = "http://127.0.0.1:10000";

export default defineConfig({
  root: fileURLToPath(new URL("src/browser/", import.meta.url)),
  plugins: [precompress()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: fileURLToPath(new URL("dist/", import.meta.url)),
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Off, because on a busy machine every build would be reported as slow.
    rolldownOptions: {
      checks: { bundlerTimings: false },
      // Code that the first page shares with later parts is one request, and no such part is loaded on its own.
      output: {
        codeSplitting: { groups: [{ name: "shared", test: /node_modules\/(@?preact)|packages\/protocol/ }] },
      },
    },
  },
  server: { proxy: { "/v1": CONTROLLER } },
});
