import { parseHeartBeat } from "@llava/protocol";
import { expect, test } from "vitest";
import { workerId } from "./status-report.ts";

test.each([
  ["http://10.0.0.5:40000", "box", "box-40000"],
  ["https://gpu.example", "box", "box-https"],
  ["http://10.0.0.5:40000", "Jo's Mac \u{1f999}", "Jo-s-Mac----40000"],
  ["http://10.0.0.5:40000", "x".repeat(80), `${"x".repeat(58)}-40000`],
])("a worker at %s on %j is %s, which a controller takes", (address, machine, id) => {
  expect(workerId(address, machine)).toBe(id);
  expect(parseHeartBeat({ worker_name: address, queue_length: 0, worker_id: id }).worker_id).toBe(id);
});
