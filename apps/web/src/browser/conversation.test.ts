import { LlavaError } from "@llava/protocol";
import { signal } from "@preact/signals";
import { expect, test } from "vitest";

import { toMessages } from "./conversation.ts";
import type { Progress, Turn } from "./conversation.ts";
import type { Picture } from "./picture.ts";

const CAT: Picture = { name: "cat.png", url: "data:image/png;base64,Y2F0", width: 4, height: 4 };
const DOG: Picture = { name: "dog.png", url: "data:image/png;base64,ZG9n", width: 4, height: 4 };
const FAILED: Progress = { kind: "failed", error: new LlavaError("worker_lost", "Gone.") };

function turn(
  question: string,
  answer: string,
  picture: Picture | null = null,
  progress: Progress = FAILED,
): Turn {
  return { id: 0, model: "m", question, picture, answer: signal(answer), progress: signal(progress) };
}

function asked(text: string, ...pictures: readonly Picture[]): object {
  const images = pictures.map(({ url }) => ({ type: "image_url", image_url: { url } }));
  return { role: "user", content: [...images, { type: "text", text }] };
}

test("words alone are a plain message; a picture comes before its question", () => {
  expect(toMessages([turn("Hello", "")])).toEqual([{ role: "user", content: "Hello" }]);
  expect(toMessages([turn("A cat?", "", CAT)])).toEqual([asked("A cat?", CAT)]);
});

test("all earlier turns go along, each picture where it was asked about", () => {
  const turns = [turn("A cat?", "Yes.", CAT), turn("Its color?", "Gray."), turn("And this?", "", DOG)];
  expect(toMessages(turns)).toEqual([
    asked("A cat?", CAT),
    { role: "assistant", content: "Yes." },
    { role: "user", content: "Its color?" },
    { role: "assistant", content: "Gray." },
    asked("And this?", DOG),
  ]);
});

test("a turn that got no answer is left out, but its picture goes with the next question", () => {
  expect(toMessages([turn("A cat?", "", CAT), turn("Well?", "")])).toEqual([asked("Well?", CAT)]);
  expect(toMessages([turn("A cat?", "", CAT), turn("Both?", "", DOG)])).toEqual([asked("Both?", CAT, DOG)]);
});

test("half an answer is part of the conversation, except of the turn that is asked again", () => {
  const half = turn("A cat?", "It is", CAT);
  expect(toMessages([half, turn("Go on.", "")])).toEqual([
    asked("A cat?", CAT),
    { role: "assistant", content: "It is" },
    { role: "user", content: "Go on." },
  ]);
  expect(toMessages([half])).toEqual([asked("A cat?", CAT)]);
});
