import { readFile } from "node:fs/promises";

import { describe, expect, it, test } from "vitest";

import { DEFAULT_SETTINGS } from "../../services/store/answer-settings.ts";
import { readConversationFile, writeConversationFile } from "./conversation-file.ts";
import type { ConversationFile } from "./conversation-file.ts";

const KEY = `sha256:${"ab".repeat(32)}`;
const WHOLE: ConversationFile = {
  conversations: [
    {
      id: "c1",
      title: "A heron",
      hasOwnTitle: true,
      createdMs: 1,
      updatedMs: 2,
      leafId: "m2",
      model: "llava-demo",
      settings: { ...DEFAULT_SETTINGS, seed: 7, stop: ["END"], system: "Be brief." },
    },
  ],
  messages: [
    {
      role: "user",
      id: "m1",
      conversationId: "c1",
      parentId: null,
      createdMs: 1,
      text: "What is this?",
      images: [
        {
          key: KEY,
          name: "heron.png",
          width: 3,
          height: 2,
          original: { width: 300, height: 200 },
          mode: "pad",
          alt: "A heron",
          questions: ["Which bird?", "Where?"],
          answers: ["A heron.", "In the reeds."],
          isDrawing: true,
        },
      ],
    },
    {
      role: "assistant",
      id: "m2",
      conversationId: "c1",
      parentId: "m1",
      createdMs: 2,
      text: "A heron.",
      model: "llava-demo",
      settings: DEFAULT_SETTINGS,
      state: {
        kind: "finished",
        reason: "length",
        usage: {
          prompt_tokens: 80,
          completion_tokens: 9,
          total_tokens: 89,
          prompt_tokens_details: { cached_tokens: 3, image_tokens: 64 },
        },
        timings: { queue_ms: 1, encode_ms: 60.5, prefill_ms: 80, decode_ms: 160, first_token_ms: 310 },
      },
      stream: null,
      migrations: 1,
      vote: "up",
      isFlagged: false,
    },
  ],
  images: { [KEY]: "data:image/png;base64,AAAA" },
};

describe("conversation file", () => {
  it("gives the same conversations when it is read", () => {
    expect(readConversationFile(writeConversationFile(WHOLE), "all.json")).toEqual(WHOLE);
  });

  it("leaves out everything of another shape", () => {
    const file = JSON.parse(writeConversationFile(WHOLE)) as Record<string, unknown>;
    const hostile = {
      ...file,
      conversations: [...WHOLE.conversations, { id: "<script>", title: "x" }, 7, null, { id: "c2" }],
      messages: [
        ...WHOLE.messages,
        { ...WHOLE.messages[0], id: "m3", conversationId: "elsewhere" },
        { ...WHOLE.messages[0], id: "m4", role: "system" },
        {
          ...WHOLE.messages[0],
          id: "m5",
          images: [{ key: "https://evil.example", name: "x", width: 1, height: 1 }],
        },
        { ...WHOLE.messages[1], id: "m6", stream: "s", state: { kind: "streaming" }, vote: "most", model: 7 },
      ],
      images: {
        ...WHOLE.images,
        [`sha256:${"cd".repeat(32)}`]: "data:text/html;base64,AAAA",
        evil: "data:image/png;base64,AAAA",
      },
    };
    const read = readConversationFile(JSON.stringify(hostile), "x.json");
    expect(read.conversations.map(({ id }) => id)).toEqual(["c1"]);
    expect(read.messages.map(({ id }) => id)).toEqual(["m1", "m2", "m5", "m6"]);
    expect(read.messages[2]).toMatchObject({ images: [] });
    expect(read.messages[3]).toMatchObject({
      stream: null,
      state: { kind: "stopped" },
      vote: null,
      model: "",
    });
    expect(Object.keys(read.images)).toEqual([KEY]);
  });

  it("of version 1, in which images were named pictures, is read", async () => {
    const file = await readFile(
      new URL("../../../../test/chat/exported-version-1.json", import.meta.url),
      "utf8",
    );
    const { conversations, messages, images } = readConversationFile(file, "all.json");
    expect(conversations).toEqual(WHOLE.conversations);
    const [question, answer] = messages;
    const [image] = question?.role === "user" ? question.images : [];
    expect(image).toMatchObject({ name: "heron.png", mode: "pad", answers: ["A heron.", "In the reeds."] });
    expect(Object.keys(images)).toEqual([image?.key]);
    expect(answer).toEqual(WHOLE.messages[1]);
  });
});

test.each([
  ["words", "is not JSON"],
  ["[]", "no file of conversations"],
  ['{"format":"other"}', "no file of conversations"],
  ['{"format":"llava-conversations","version":99}', "another version"],
  ['{"format":"llava-conversations","version":1}', "holds no conversations"],
  ['{"format":"llava-conversations","version":2}', "holds no conversations"],
])("%s is refused in a sentence", (text, words) => {
  expect(() => readConversationFile(text, "x.json")).toThrow(words);
});
