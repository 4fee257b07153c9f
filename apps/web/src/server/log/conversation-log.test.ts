import { createHash } from "node:crypto";
import { mkdtemp, mkdir, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { openConversationLog, type ConversationLog } from "./conversation-log.ts";
import { AnswerText, chatRecord, type Turn } from "./conversation-record.ts";

const IMAGE = Buffer.from("not really an image");
const MD5 = createHash("md5").update(IMAGE).digest("hex");
/** Noon in the time zone of the test's machine. */
const NOW = new Date(2026, 10, 23, 12).getTime();
const DATE = "2026-11-23";

const REQUEST = {
  model: "llava-demo",
  messages: [
    { role: "system", content: "Be brief." },
    {
      role: "user",
      content: [
        { type: "image_url", image_url: { url: `data:image/png;base64,${IMAGE.toString("base64")}` } },
        { type: "text", text: "What is it?" },
      ],
    },
    { role: "assistant", content: "A cat." },
    { role: "user", content: "Which color?" },
  ],
};

function chunk(content: string): string {
  return `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
}

function streamed(...pieces: readonly string[]): AnswerText {
  const answer = new AnswerText(true);
  for (const piece of pieces) answer.push(Buffer.from(piece));
  return answer;
}

function turn(answer: AnswerText, request: object = REQUEST): Turn {
  const body = Buffer.from(JSON.stringify(request));
  return { request: body, answer, startedMs: 1_000_000.1234, finishedMs: 1_002_500, ip: "127.0.0.1" };
}

const WHOLE = [chunk(" Bl"), chunk("ack."), "data: [DONE]\n\n"];

describe("conversation log record", () => {
  test("has LLaVA's fields, with the image's place in the text and its name", () => {
    const chat = chatRecord(turn(streamed(...WHOLE)));
    expect(chat?.record).toEqual({
      tstamp: 1002.5,
      type: "chat",
      model: "llava-demo",
      start: 1000.0001,
      finish: 1002.5,
      state: {
        system: "Be brief.",
        roles: ["USER", "ASSISTANT"],
        messages: [
          ["USER", "<image>\nWhat is it?"],
          ["ASSISTANT", "A cat."],
          ["USER", "Which color?"],
          ["ASSISTANT", "Black."],
        ],
        offset: 0,
        sep: " ",
        sep2: "</s>",
      },
      images: [MD5],
      ip: "127.0.0.1",
    });
    expect(chat?.images).toEqual([{ md5: MD5, extension: "png", bytes: IMAGE }]);
  });

  test("is made of an answer in one piece, too", () => {
    const answer = new AnswerText(false);
    answer.push(Buffer.from('{"choices":[{"message":{"role":"assistant","con'));
    answer.push(Buffer.from('tent":"Black."}}]}'));
    expect(chatRecord(turn(answer))?.record.state.messages.at(-1)).toEqual(["ASSISTANT", "Black."]);
  });

  test.each([
    ["that broke off", streamed(...WHOLE.slice(0, 2))],
    [
      "that ended in an error",
      streamed(chunk("Bl"), 'data: {"error":{"message":"Lost."}}\n\n', "data: [DONE]\n\n"),
    ],
    ["that is too long", streamed(...Array(40).fill(chunk("x".repeat(30_000))), "data: [DONE]\n\n")],
    ["that is nothing we know", streamed("data: hello\n\n", "data: [DONE]\n\n")],
  ])("is not made of an answer %s", (_name, answer) => {
    expect(chatRecord(turn(answer))).toBeNull();
  });

  test("is not made of a request of another shape", () => {
    expect(chatRecord(turn(streamed(...WHOLE), { messages: "?" }))).toBeNull();
  });
});

describe("conversation log", () => {
  let folder: string;
  let lines: string[];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "llava-conversations-"));
    lines = [];
  });
  afterEach(async () => rm(folder, { recursive: true, force: true }));

  async function open(
    options: { maxDayBytes?: number; shortensAddresses?: boolean } = {},
  ): Promise<ConversationLog> {
    return await openConversationLog({ folder, log, now: () => NOW, ...options });
  }

  async function records(): Promise<readonly unknown[]> {
    const text = await readFile(join(folder, `${DATE}-conv.json`), "utf8");
    return text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
  }

  test("has a client's address, or only its network where that is wished", async () => {
    for (const shortensAddresses of [false, true]) {
      const conversations = await open({ shortensAddresses });
      conversations.add({ ...turn(streamed(...WHOLE)), ip: "203.0.113.9" });
      await conversations.flush();
    }
    expect(await records()).toMatchObject([{ ip: "203.0.113.9" }, { ip: "203.0.113.0" }]);
  });

  test("is a file a day with a line for each chat, and each image once", async () => {
    const conversations = await open();
    for (let count = 0; count < 3; count += 1) conversations.add(turn(streamed(...WHOLE)));
    conversations.add(turn(streamed(chunk("broken"))));
    await conversations.flush();
    expect(await records()).toHaveLength(3);
    const images = join(folder, "serve_images", DATE);
    expect(await readdir(images)).toEqual([`${MD5}.png`]);
    expect(await readFile(join(images, `${MD5}.png`))).toEqual(IMAGE);
    const later = await open();
    later.add(turn(streamed(...WHOLE)));
    await later.flush();
    expect(await records()).toHaveLength(4);
    expect(lines).toEqual([]);
  });

  test.runIf(existsSync("/dev/full"))(
    "a full disk loses what it must, says so once, and goes on when there is room",
    async () => {
      // Every write to this device fails with a real ENOSPC.
      const file = join(folder, `${DATE}-conv.json`);
      await symlink("/dev/full", file);
      const conversations = await open();
      for (let count = 0; count < 3; count += 1) conversations.add(turn(streamed(...WHOLE)));
      await conversations.flush();
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain("ENOSPC");
      await rm(file);
      conversations.add(turn(streamed(...WHOLE)));
      await conversations.flush();
      expect(await records()).toHaveLength(1);
      expect(lines[1]).toContain('"numLost":3');
    },
  );

  test("a day's files do not grow beyond their limit, also after a restart", async () => {
    const first = await open({ maxDayBytes: 1_000 });
    for (let count = 0; count < 5; count += 1) first.add(turn(streamed(...WHOLE)));
    await first.flush();
    const numWritten = (await records()).length;
    expect(numWritten).toBeGreaterThan(0);
    expect(numWritten).toBeLessThan(5);
    const second = await open({ maxDayBytes: 1_000 });
    second.add(turn(streamed(...WHOLE)));
    await second.flush();
    expect(await records()).toHaveLength(numWritten);
    expect(lines.join("")).toContain("1000 bytes are full");
  });

  test("a folder that cannot be written to is refused at the start", async () => {
    await mkdir(join(folder, "inner"));
    await writeFile(join(folder, "inner", "file"), "");
    const refused = openConversationLog({ folder: join(folder, "inner", "file"), log });
    await expect(refused).rejects.toThrow("--conversation-log");
  });
});
