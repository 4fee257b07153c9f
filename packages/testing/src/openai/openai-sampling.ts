/** With OpenAI's own client: how tokens are chosen, their logprobs, several answers at once, and answers in JSON. */
import type OpenAI from "openai";
import { BadRequestError } from "openai";
import { describe, expect, test } from "vitest";
import { streamed, TEXT, type ChatParams, type Visit } from "./openai-stage.ts";

type Choice = OpenAI.Chat.ChatCompletion.Choice;
type Logprob = OpenAI.Chat.ChatCompletionTokenLogprob;

/** The token of a letter: the stage's model has one a byte, behind four special ones. */
const idOf = (letter: string): number => 4 + (letter.codePointAt(0) ?? 0);
const SOME_LETTER = idOf("B");

/** The fields of vLLM's that OpenAI's client does not know. */
interface Extra {
  readonly min_p?: number;
  readonly top_k?: number;
  readonly repetition_penalty?: number;
  readonly stop_token_ids?: readonly number[];
  readonly min_tokens?: number;
  readonly ignore_eos?: boolean;
}

async function choicesOf(visit: Visit, fields: Partial<ChatParams> & Extra): Promise<readonly Choice[]> {
  const completion = await visit.client.chat.completions.create({ ...visit.asked(TEXT), ...fields });
  return completion.choices;
}

async function textOf(visit: Visit, fields: Partial<ChatParams> & Extra = {}): Promise<string> {
  return (await choicesOf(visit, fields))[0]?.message.content ?? "";
}

/** The answers of a stream by their index. */
async function streamedAnswers(
  visit: Visit,
  fields: Partial<ChatParams>,
): Promise<Map<number, { text: string; tokens: Logprob[]; end: string | null; numRoles: number }>> {
  const answers = new Map<
    number,
    { text: string; tokens: Logprob[]; end: string | null; numRoles: number }
  >();
  const params = { ...streamed(visit.asked(TEXT)), ...fields, stream: true } as const;
  for await (const { choices } of await visit.client.chat.completions.create(params)) {
    for (const { index, delta, logprobs, finish_reason } of choices) {
      const answer = answers.get(index) ?? { text: "", tokens: [], end: null, numRoles: 0 };
      if (delta.role !== undefined) answer.numRoles += 1;
      answer.text += delta.content ?? "";
      answer.tokens.push(...(logprobs?.content ?? []));
      answer.end ??= finish_reason;
      answers.set(index, answer);
    }
  }
  return answers;
}

/** A prompt that is remembered in part is computed in other pieces, whose sums differ in their last digits. */
function alike(content: readonly Logprob[] | null | undefined): unknown {
  return content?.map(({ logprob, top_logprobs: top, ...token }) => ({
    ...token,
    logprob: expect.closeTo(logprob, 3),
    top_logprobs: top.map((other) => ({ ...other, logprob: expect.closeTo(other.logprob, 3) })),
  }));
}

export function describeChoices(visit: Visit): void {
  describe.skipIf(visit.lacks("several_choices", "seed"))("several answers at once", () => {
    const fields = { temperature: 1.5, seed: 40, n: 3, max_completion_tokens: 12 };

    test("are those of as many requests with the seeds that follow, the question counted once", async () => {
      const together = await visit.client.chat.completions.create({ ...visit.asked(TEXT), ...fields });
      const single = await Promise.all(
        [40, 41, 42].map((seed) =>
          visit.client.chat.completions.create({ ...visit.asked(TEXT), ...fields, n: 1, seed }),
        ),
      );
      expect(together.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
      const texts = together.choices.map(({ message }) => message.content);
      expect(texts).toEqual(single.map(({ choices }) => choices[0]?.message.content));
      expect(new Set(texts).size).toBe(3);
      expect(together.usage).toMatchObject({
        prompt_tokens: single[0]?.usage?.prompt_tokens,
        completion_tokens: 36,
      });
    });

    test("streamed are the same, each with its role and its end", async () => {
      const whole = await choicesOf(visit, fields);
      const answers = await streamedAnswers(visit, fields);
      expect(new Set(answers.keys())).toEqual(new Set([0, 1, 2]));
      for (const { index, message } of whole) {
        expect(answers.get(index)).toMatchObject({ text: message.content, end: "length", numRoles: 1 });
      }
    });

    test("one of which ends early leaves the others alone", async () => {
      const texts = (await choicesOf(visit, fields)).map(({ message }) => message.content ?? "");
      const stop = texts[0]?.slice(3, 6) ?? "";
      const cut = await choicesOf(visit, { ...fields, stop });
      expect(cut.map(({ message }) => message.content)).toEqual(texts.map((text) => text.split(stop)[0]));
      expect(cut[0]?.finish_reason).toBe("stop");
    });
  });
}

export function describeLogprobs(visit: Visit): void {
  describe.skipIf(visit.lacks("logprobs"))("logprobs", () => {
    const asked = { logprobs: true, top_logprobs: 3 };

    test("of each token, with the likeliest first, and their texts make the answer", async () => {
      const [choice] = await choicesOf(visit, asked);
      const content = choice?.logprobs?.content ?? [];
      expect(content).toHaveLength(8);
      expect(content.map(({ token }) => token).join("")).toBe(choice?.message.content);
      for (const { token, logprob, bytes, top_logprobs: top } of content) {
        expect(Buffer.from(bytes ?? []).toString()).toBe(token);
        expect(top).toHaveLength(3);
        expect(top[0]).toEqual({ token, logprob, bytes });
        const values = top.map((other) => other.logprob);
        expect(values).toEqual(values.toSorted((a, b) => b - a));
        expect(values.reduce((sum, value) => sum + Math.exp(value), 0)).toBeLessThanOrEqual(1 + 1e-6);
      }
    });

    test("streamed are the same; none come without the field", async () => {
      const [choice] = await choicesOf(visit, asked);
      expect((await streamedAnswers(visit, asked)).get(0)?.tokens).toEqual(alike(choice?.logprobs?.content));
      expect((await streamedAnswers(visit, {})).get(0)?.tokens).toEqual([]);
      expect((await choicesOf(visit, { logprobs: true }))[0]?.logprobs?.content?.[0]?.top_logprobs).toEqual(
        [],
      );
    });

    test("end where the answer ends, before the stop string", async () => {
      const long = { temperature: 1, seed: 3, max_completion_tokens: 20 };
      const stop = (await textOf(visit, long)).slice(9, 12);
      const cut = { ...asked, ...long, stop };
      const [choice] = await choicesOf(visit, cut);
      expect(choice?.finish_reason).toBe("stop");
      const texts = choice?.logprobs?.content?.map(({ token }) => token);
      expect(texts?.join("")).toBe(choice?.message.content);
      expect((await streamedAnswers(visit, cut)).get(0)?.tokens).toEqual(alike(choice?.logprobs?.content));
    });

    test.skipIf(visit.lacks("text_completion"))("of a text, in the older endpoint's lists", async () => {
      const params = { model: visit.stage.model, prompt: "Once upon", temperature: 0, max_tokens: 5 };
      const { choices } = await visit.client.completions.create({ ...params, logprobs: 2 });
      const lists = choices[0]?.logprobs;
      expect(lists?.tokens?.join("")).toBe(choices[0]?.text);
      expect(lists?.text_offset).toEqual([0, 1, 2, 3, 4]);
      for (const [i, top] of (lists?.top_logprobs ?? []).entries())
        expect(Math.max(...Object.values(top))).toBe(lists?.token_logprobs?.[i]);
      const streamedLists: OpenAI.Completions.CompletionChoice.Logprobs[] = [];
      const options = { ...params, logprobs: 2, stream: true } as const;
      for await (const chunk of await visit.client.completions.create(options))
        streamedLists.push(...chunk.choices.flatMap(({ logprobs }) => logprobs ?? []));
      expect(streamedLists.flatMap(({ text_offset: offsets }) => offsets)).toEqual(lists?.text_offset);
      expect(streamedLists.flatMap(({ tokens }) => tokens)).toEqual(lists?.tokens);
    });
  });
}

export function describeTokens(visit: Visit): void {
  describe("tokens", () => {
    test("that a bias wants, and does not want", async () => {
      expect(await textOf(visit, { logit_bias: { [SOME_LETTER]: 100 } })).toBe("BBBBBBBB");
      const first = (await textOf(visit)).slice(0, 1);
      expect(await textOf(visit, { logit_bias: { [idOf(first)]: -100 } })).not.toContain(first);
    });

    test.skipIf(visit.lacks("penalties"))(
      "that are in the answer already become rarer with a penalty",
      async () => {
        const kinds = async (fields: Partial<ChatParams> & Extra): Promise<number> =>
          new Set(await textOf(visit, { max_completion_tokens: 24, ...fields })).size;
        const plain = await kinds({});
        for (const fields of [{ frequency_penalty: 2 }, { presence_penalty: 2 }, { repetition_penalty: 5 }])
          expect(await kinds(fields), JSON.stringify(fields)).toBeGreaterThan(plain);
      },
    );

    test("of which only the likeliest are left are the greedy ones", async () => {
      const greedy = await textOf(visit);
      for (const fields of [{ min_p: 1 }, { top_k: 1 }])
        expect(await textOf(visit, { ...fields, temperature: 2, seed: 9 })).toBe(greedy);
    });

    test("that end the answer, but not before it is long enough", async () => {
      const fields = { logit_bias: { [SOME_LETTER]: 100 }, stop_token_ids: [SOME_LETTER] };
      const [none] = await choicesOf(visit, fields);
      expect(none).toMatchObject({ finish_reason: "stop", message: { content: "" } });
      const [some] = await choicesOf(visit, { ...fields, min_tokens: 3 });
      expect(some).toMatchObject({
        finish_reason: "stop",
        message: { content: expect.stringMatching(/^.{3}$/) },
      });
    });
  });
}

function format(schema: Record<string, unknown>): OpenAI.ResponseFormatJSONSchema {
  return { type: "json_schema", json_schema: { name: "reply", strict: true, schema } };
}

export function describeJson(visit: Visit): void {
  const color = { enum: ["red", "green", "blue"] };
  const schema = {
    type: "object",
    properties: { color, count: { type: "integer", minimum: 0, maximum: 9 } },
    required: ["color", "count"],
    additionalProperties: false,
  };
  const shape = {
    color: expect.stringMatching(/^(red|green|blue)$/),
    count: expect.toSatisfy(
      (count: unknown) => Number.isInteger(count) && Number(count) >= 0 && Number(count) <= 9,
    ),
  };

  describe.skipIf(visit.lacks("json_mode"))("an answer in JSON", () => {
    test.skipIf(visit.lacks("several_choices"))(
      "keeps to its schema, whole, streamed and several at once",
      async () => {
        const fields = {
          response_format: format(schema),
          max_completion_tokens: 100,
          temperature: 1,
          seed: 2,
        };
        const whole = await choicesOf(visit, { ...fields, n: 2 });
        const answers = await streamedAnswers(visit, { ...fields, n: 2 });
        for (const { index, message, finish_reason } of whole) {
          expect(finish_reason).toBe("stop");
          expect(JSON.parse(message.content ?? "")).toEqual(shape);
          expect(answers.get(index)).toMatchObject({ text: message.content, end: "stop" });
        }
      },
    );

    test("by the helper that reads it", async () => {
      const completion = await visit.client.chat.completions.parse({
        ...visit.asked(TEXT),
        response_format: format(schema),
        max_completion_tokens: 100,
      });
      expect(JSON.parse(completion.choices[0]?.message.content ?? "")).toEqual(shape);
    });

    test("of any kind is an object as far as it goes", async () => {
      const text = await textOf(visit, {
        response_format: { type: "json_object" },
        max_completion_tokens: 20,
      });
      expect(text).toMatch(/^\{/);
    });

    test("that cannot be promised is refused with the place in its schema", async () => {
      const properties = { at: { type: "string", format: "date-time" } };
      const refusal = choicesOf(visit, { response_format: format({ type: "object", properties }) });
      await expect(refusal).rejects.toBeInstanceOf(BadRequestError);
      await expect(refusal).rejects.toMatchObject({
        param: "response_format",
        message: expect.stringContaining("/properties/at/format"),
      });
    });
  });
}
