/** `response_format` of a chat: plain text, any JSON object, or JSON that a schema describes. */
import { z } from "zod";

/** What an answer must be. */
export type AnswerFormat =
  | { readonly type: "json" }
  /** The schema itself is checked where it is put to use. */
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
  // Changes nothing: what is not in the schema is never said.
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

/** Undefined where plain text is asked for. */
export function readFormat(wire: z.infer<typeof formatField>): AnswerFormat | undefined {
  if (wire?.type === "json_object") return { type: "json" };
  if (wire?.type === "json_schema") return { type: "json_schema", schema: wire.json_schema.schema };
  return undefined;
}
