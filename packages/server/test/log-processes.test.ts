/** Tests the log of a process that ends in the middle of its work. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";

const SINK = JSON.stringify(new URL("../src/observability/log-sink.ts", import.meta.url).href);

test.each([
  ["an uncaught error", "throw new Error('bad luck');", 1],
  ["an unhandled rejection", "Promise.reject(new Error('bad luck'));", 1],
  ["process.exit", "process.exit(3);", 3],
  ["nothing left to do", "", 0],
])("log sink: a process that ends by %s has written all lines", async (_name, ending, code) => {
  const program = `
    import { logTo } from ${SINK};
    const log = logTo(1);
    await new Promise((resolve) => setTimeout(resolve));
    log.write("one\\n");
    log.write("two\\n");
    ${ending}
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const output = text(child.stdout);
  expect(await once(child, "exit")).toEqual([code, null]);
  expect(await output).toBe("one\ntwo\n");
});
