import { describe, expect, it } from "vitest";

import {
  isModelName,
  isWorkerAddress,
  parseDeregisterWorker,
  parseHeartBeat,
  parseRegisterWorker,
  parseWorkerStatus,
  type WorkerReport,
} from "./worker-report.ts";

const BEAT = { worker_name: "http://w:1", queue_length: 2 };
const STATUS = { model_names: ["m"], speed: 1, queue_length: 0 };
const KEY = `sha256:${"0".repeat(64)}`;
const REPORT: WorkerReport = {
  worker_id: "box-40000",
  incarnation: "5f3a",
  seq: 7,
  state: "draining",
  load: { running: 1, waiting: 0, max_running: 5, max_waiting: 20 },
  image_keys: [KEY],
  version: "0.1.0",
  capabilities: { resume: true },
};

describe("the original's bodies", () => {
  it("are taken as they are, and absent fields stay absent", () => {
    const body = { worker_name: "http://w:1", check_heart_beat: true };
    expect(parseRegisterWorker(body)).toEqual({ ...body, worker_status: null });
    expect(parseRegisterWorker({ ...body, worker_status: STATUS, multimodal: true })).toEqual({
      ...body,
      worker_status: STATUS,
    });
    expect(parseHeartBeat(BEAT)).toEqual(BEAT);
  });

  it("may be of a controller without workers", () => {
    const empty = { model_names: [], speed: 0, queue_length: 0 };
    expect(parseWorkerStatus(empty)).toEqual(empty);
  });
});

describe("our fields", () => {
  it("come through", () => {
    expect(parseHeartBeat({ ...BEAT, ...REPORT })).toEqual({ ...BEAT, ...REPORT });
    expect(parseWorkerStatus({ ...STATUS, ...REPORT })).toEqual({ ...STATUS, ...REPORT });
    expect(parseDeregisterWorker({ worker_name: "http://w:1", incarnation: "5f3a" })).toEqual({
      worker_name: "http://w:1",
      incarnation: "5f3a",
    });
  });

  it.each([
    [{ incarnation: "" }, "incarnation"],
    [{ incarnation: null }, "incarnation"],
    [{ worker_id: "a\nb" }, "worker_id"],
    [{ seq: -1 }, "seq"],
    [{ seq: 1.5 }, "seq"],
    [{ state: "asleep" }, "state"],
    [{ load: { running: 1 } }, "load.waiting"],
    [{ load: { ...REPORT.load, running: -1 } }, "load.running"],
    [{ image_keys: ["sha256:0"] }, "image_keys[0]"],
    [{ image_keys: Array.from({ length: 257 }, () => KEY) }, "image_keys"],
    [{ version: "x".repeat(65) }, "version"],
    [{ capabilities: { resume: "yes" } }, "capabilities.resume"],
    [
      { capabilities: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`c${n}`, true])) },
      "capabilities",
    ],
    [{ queue_length: -1 }, "queue_length"],
    [{ queue_length: Number.POSITIVE_INFINITY }, "queue_length"],
  ])("are refused by name when they cannot be true: %j", (fields, param) => {
    expect(() => parseHeartBeat({ ...BEAT, ...fields })).toThrow(
      expect.objectContaining({ code: "invalid_request", param }),
    );
  });
});

it.each([0, -1, 0.001, 1025, Number.POSITIVE_INFINITY, Number.NaN, "1", null, undefined])(
  "refuses the speed %j of a worker with models",
  (speed) => {
    expect(() => parseWorkerStatus({ ...STATUS, speed })).toThrow(
      expect.objectContaining({ code: "invalid_request", param: "speed" }),
    );
  },
);

describe("model names", () => {
  it.each([
    "llava-v1.5-7b",
    "liuhaotian/llava-v1.5-13b",
    "llava-hf/llava-v1.6-mistral-7b-hf",
    "llava:7b",
    "C:\\models\\llava",
    "/data/my model (2)",
    "模型-7b",
    "mein-Modell_ü",
  ])("take %j", (name) => {
    expect(isModelName(name)).toBe(true);
    expect(parseWorkerStatus({ ...STATUS, model_names: [name, name] }).model_names).toEqual([name]);
  });

  it.each(["", " m", "m ", "a\nb", "a\u0000b", "<b>", 'a"b', "a\u202eb", "{a}", "x".repeat(257)])(
    "refuse %j",
    (name) => {
      expect(isModelName(name)).toBe(false);
      expect(() => parseWorkerStatus({ ...STATUS, model_names: [name] })).toThrow("model_names[0]");
    },
  );

  it("never hold what ends a line, a text or a tag", () => {
    const units = Array.from({ length: 0x10000 }, (_, unit) => String.fromCharCode(unit));
    expect(units.filter((unit) => isModelName(unit) && /[\p{C}\p{Z}<>"'`&${}|;]/u.test(unit))).toEqual([]);
  });
});

it.each([
  ["http://w:1", true],
  ["https://10.0.0.1:40000/base", true],
  ["file:///etc/passwd", false],
  ["http://user:word@w:1", false],
  ["http://w:1/?x=", false],
  ["http://w:1/#x", false],
  ["w:1", false],
])("takes %j as a worker's address: %j", (text, expected) => {
  expect(isWorkerAddress(text)).toBe(expected);
});
