/**
 * Reads the field `response_format` of a chat: plain text, any JSON object, or JSON that a schema describes. The source is
 * https://platform.openai.com/docs/api-reference/chat/create.
 */
import { z } from "zod";

/** The form that an answer must have. */
export type AnswerFormat =
  /** A JSON object. */
  | { readonly type: "json" }
  /** JSON that the schema describes; the engine checks the schema itself. */
  | { readonly type: "json_schema"; readonly schema: Readonly<Record<string, unknown>> };

const type = "of type text, json_object or json_schema";
const nullable = <T extends z.ZodType>(schema: T): z.ZodOptional<z.ZodNullable<T>> => schema.nullish();
const named = z.strictObject({
  name: z
    .string("a name")
    .regex(/^[\w-]{1,64}$/, "a name of letters, digits, - and _, at most 64")
    .optional(),
  description: nullable(z.string("a text")),
  schema: z.record(z.string(), z.unknown(), "a JSON schema, an object"),
  // It changes nothing: an answer never leaves the schema.
  strict: nullable(z.boolean("true or false")),
});

export const formatField = z
  .discriminatedUnion(
    "type",
    [
      z.strictObject({ type: z.literal("text") }),
      z.strictObject({ type: z.literal("json_object") }),
      z.strictObject({ type: z.literal("json_schema"), json_schema: named }),
    ],
    type,
  )
  .optional();

/** The form that a body asks for; undefined for plain text. */
export function readFormat(wire: z.infer<typeof formatField>): AnswerFormat | undefined {
  if (wire?.type === "json_object") return { type: "json" };
  if (wire?.type === "json_schema") return { type: "json_schema", schema: wire.json_schema.schema };
  return undefined;
}
