/** Checks votes on answers from the page, and makes log records of them in the forms of LLaVA and FastChat. */
import { z } from "zod";

const MAX_TEXT = 128 << 10;
const message = z.strictObject({
  role: z.enum(["system", "user", "assistant"]),
  text: z.string().max(MAX_TEXT),
  images: z.array(z.string().max(128)).max(64),
});

const ONE = ["upvote", "downvote", "flag"] as const;
const TWO = ["leftvote", "rightvote", "tievote", "bothbad_vote"] as const;
const models = z.string().min(1).max(256);
const conversation = z.array(message).max(512);

export const voteSchema = z.union([
  z.strictObject({
    type: z.enum(ONE),
    models: z.tuple([models]),
    conversations: z.tuple([conversation]),
  }),
  z.strictObject({
    type: z.enum(TWO),
    models: z.tuple([models, models]),
    conversations: z.tuple([conversation, conversation]),
  }),
]);

export type Vote = z.infer<typeof voteSchema>;

interface VoteState {
  readonly system: string;
  readonly roles: readonly [string, string];
  readonly messages: readonly (readonly [string, string])[];
  readonly offset: number;
  readonly sep: string;
  readonly sep2: string;
}

/**
 * LLaVA's record has one model and one state, FastChat's record of a comparison has two of each. Times are Unix
 * seconds.
 */
export function voteRecord(vote: Vote, ip: string, nowMs: number): object {
  const tstamp = Math.round(nowMs * 10) / 10_000;
  const states = vote.conversations.map(stateOf);
  return vote.models.length === 1
    ? { tstamp, type: vote.type, model: vote.models[0], state: states[0], ip }
    : { tstamp, type: vote.type, models: vote.models, states, ip };
}

/**
 * The output of `Conversation.dict()` in LLaVA's llava/conversation.py, with the roles and separators of `llava_v1`.
 */
function stateOf(messages: z.infer<typeof conversation>): VoteState {
  const turns = messages.filter(({ role }) => role !== "system");
  return {
    system: messages
      .filter(({ role }) => role === "system")
      .map(({ text }) => text)
      .join("\n"),
    roles: ["USER", "ASSISTANT"],
    messages: turns.map(({ role, text, images }) => [
      role === "user" ? "USER" : "ASSISTANT",
      [...images.map(() => "<image>"), text].join("\n"),
    ]),
    offset: 0,
    sep: " ",
    sep2: "</s>",
  };
}
