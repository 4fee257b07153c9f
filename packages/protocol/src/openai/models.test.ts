import { expect, it } from "vitest";

import { createModelCard, modelListBody, parseModelList } from "./models.ts";
import { requestIdFrom } from "../codec/request-id.ts";

it("a model list is read back, without what others add", () => {
  const card = createModelCard("llava-demo", 1_700_000_000, { context_length: 512, card: null });
  const list = modelListBody([card]);
  expect(parseModelList({ ...list, data: [{ ...card, permission: [] }] })).toEqual(list);
  expect(() => parseModelList({ object: "list", data: [{ ...card, id: 5 }] })).toThrow("data[0].id");
});

it("a harmless request id is kept, and any other is replaced", () => {
  expect(requestIdFrom("a-b_9")).toBe("a-b_9");
  for (const header of ["a b", "", "x".repeat(65), "a\nb", undefined, ["a"]]) {
    expect(requestIdFrom(header)).toMatch(/^[0-9a-f]{24}$/);
  }
});
