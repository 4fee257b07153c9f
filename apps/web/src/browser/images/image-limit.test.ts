import { CHAT_LIMITS } from "@llava/protocol";
import { expect, test } from "vitest";

import { CHAT_PICTURES } from "./image-limit.ts";

test("the page allows as many pictures as a worker takes", () => {
  expect(CHAT_PICTURES).toBe(CHAT_LIMITS.images);
});
