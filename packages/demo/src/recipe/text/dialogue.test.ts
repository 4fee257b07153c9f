import { expect, test } from "vitest";

import { dialogue } from "./dialogue.ts";
import type { Turn } from "./dialogue.ts";
import { mentionsHeldOut } from "../../evaluation/evaluation.ts";
import { IDENTITY, KINDS, Random, sceneOf, SHORT_ANSWER_SUFFIX, WORDINGS } from "../../scenes/index.ts";
import { textOnlyDialogue } from "./text-only-dialogue.ts";

const dialogues = (count: number): Turn[][] =>
  Array.from({ length: count }, (_, i) => dialogue(sceneOf("train", i), Random.of(i, "dialogue")));

test("equal seeds give equal dialogues", () => {
  expect(dialogues(20)).toEqual(dialogues(20));
});

test("held-out pairs are never mentioned in a long training stream", () => {
  for (let i = 0; i < 6_000; i++) {
    const make = i % 3 === 0 ? textOnlyDialogue : dialogue;
    const turns = make(sceneOf("train", i), Random.of(i, "stream"));
    const text = turns.map(({ question, answer }) => `${question} ${answer}`).join(" ");
    if (mentionsHeldOut(text.toLowerCase())) expect.fail(text);
  }
});

test("held-out pairs are not mentioned in detailed questions either", () => {
  for (let i = 0; i < 3_000; i++) {
    const options = { detailShare: 1, emphasis: { exist: 30 } };
    const turns = dialogue(sceneOf("train", i, 0.3), Random.of(i, "stream"), options);
    const text = turns.map(({ question, answer }) => `${question} ${answer}`).join(" ");
    if (mentionsHeldOut(text.toLowerCase())) expect.fail(text);
  }
});

test("an answer masks the words that would make a held-out pair of what it is about", () => {
  const turns = Array.from({ length: 3_000 }, (_, i) => dialogue(sceneOf("train", i), Random.of(i))).flat();
  const maskedWords = (kind: string, short: string): string[] => [
    ...new Set(turns.filter((t) => t.kind === kind && t.short === short).flatMap(({ masked }) => masked)),
  ];
  expect(maskedWords("color", "yellow")).not.toContain("yellow");
  expect(maskedWords("color", "red").toSorted()).toEqual(["blue", "green", "orange", "purple", "yellow"]);
  expect(maskedWords("shape", "circle").toSorted()).toEqual([
    "cross",
    "diamond",
    "square",
    "star",
    "triangle",
  ]);
  const about = turns.filter(
    ({ kind, question }) => kind === "shape" && question.includes("the purple object"),
  );
  expect(about.length).toBeGreaterThan(10);
  for (const { masked, short } of about) expect([masked, short === "circle"]).toEqual([["circle"], false]);
  for (const { kind, masked } of turns)
    if (!["color", "shape", "describe"].includes(kind)) expect(masked).toEqual([]);
});

test("wordings that are held back never come up", () => {
  const beginnings = [...Object.values(WORDINGS), ...IDENTITY.map(({ wordings }) => wordings)].map(
    ({ unseen }) => unseen.split("{a}")[0] ?? unseen,
  );
  const heldBack = new Set(beginnings.filter((text) => !/^(How many|What character does) $/.test(text)));
  for (const turn of dialogues(1_200).flat()) {
    for (const beginning of heldBack) {
      if (turn.question.startsWith(beginning)) expect.fail(`${turn.question} begins as ${beginning}`);
    }
    expect(turn.question).not.toMatch(/does the picture/);
  }
});

test("a dialogue keeps its style, and only a short one's first question asks for it", () => {
  let short = 0;
  const all = dialogues(1_200);
  for (const [first, ...others] of all) {
    const isShort = first!.question.endsWith(SHORT_ANSWER_SUFFIX);
    if (isShort) short++;
    for (const turn of [first!, ...others]) expect(turn.answer === turn.short || !isShort).toBe(true);
    for (const turn of others) expect(turn.question).not.toContain("Answer the question");
    if (!isShort) for (const turn of [first!, ...others]) expect(turn.answer).toMatch(/^[A-Z].*\.$/);
  }
  expect(short / all.length).toBeGreaterThan(0.62);
  expect(short / all.length).toBeLessThan(0.68);
});

test("every kind has its share, and no answer of a kind prevails", () => {
  const turns = dialogues(4_000).flat();
  const table = KINDS.map((kind) => {
    const answers = turns.filter((turn) => turn.kind === kind).map((turn) => turn.short);
    const counts = Object.entries(Object.groupBy(answers, (answer) => answer)).map(([answer, all]) => ({
      answer,
      share: (all?.length ?? 0) / answers.length,
    }));
    const top = counts.toSorted((a, b) => b.share - a.share)[0]!;
    return {
      kind,
      share: answers.length / turns.length,
      answers: counts.length,
      top: top.answer,
      most: top.share,
    };
  });
  console.table(table.map((row) => ({ ...row, top: row.top.slice(0, 20) })));
  const shareOf = (kind: string): number => table.find((row) => row.kind === kind)!.share;
  for (const kind of ["relation_x", "relation_y", "where", "count_all", "compare"]) {
    expect(shareOf(kind), kind).toBeGreaterThan(0.06);
  }
  expect(shareOf("read")).toBeGreaterThan(0.03);
  const most = Object.fromEntries(table.map((row) => [row.kind, row.most]));
  for (const kind of ["exist", "compare", "relation_x", "relation_y", "size", "texture"]) {
    expect(most[kind], kind).toBeLessThan(0.62);
  }
  for (const kind of ["count_color", "count_shape"]) expect(most[kind], kind).toBeLessThan(0.48);
  for (const kind of ["color", "shape", "where", "read"]) expect(most[kind], kind).toBeLessThan(0.22);
  expect(most["count_all"]).toBeLessThan(0.3);
});

test("later questions sometimes lean on the one before", () => {
  const turns = dialogues(500);
  const leaning = turns
    .flatMap((turns) => turns.slice(1))
    .filter(({ question }) => /^(and|what about|how about) |\bits?\b/i.test(question));
  expect(leaning.length).toBeGreaterThan(200);
  for (const [first] of turns) expect(first!.question).not.toMatch(/^(and|what about|how about) |\bits?\b/i);
});

test("a scene in words tells what is asked about it", () => {
  for (let i = 0; i < 400; i++) {
    const scene = sceneOf("train", i);
    const [first, ...others] = textOnlyDialogue(scene, Random.of(i, "symbolic"));
    const lower = first!.question.toLowerCase();
    for (const object of scene.objects) {
      expect(lower).toContain(
        object.kind === "shape" ? `${object.color} ${object.shape}` : object.character.toLowerCase(),
      );
    }
    for (const turn of others) expect(turn.question).not.toContain("\n");
  }
});
