import { CHAT_LIMITS } from "@llava/protocol";
import { expect, test } from "vitest";

import { MAX_CHAT_IMAGES } from "./image-limit.ts";

test("the page allows as many images as a worker takes", () => {
  expect(MAX_CHAT_IMAGES).toBe(CHAT_LIMITS.images);
});
