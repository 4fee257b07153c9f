/** How the page is bundled: one script and one style sheet, nothing inline, so that the strict content policy holds. */
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
    // On a busy machine every build would be told to be slow.
    rolldownOptions: {
      checks: { bundlerTimings: false },
      // What the first page and later parts share is one request, and no part of it comes by itself.
      output: {
        codeSplitting: { groups: [{ name: "shared", test: /node_modules\/(@?preact)|packages\/protocol/ }] },
      },
    },
  },
  server: { proxy: { "/v1": CONTROLLER } },
});
