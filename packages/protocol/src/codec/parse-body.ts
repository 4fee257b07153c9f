/**
 * Checks a body against a schema and turns the schema's first issue into a sentence, so that all bodies are refused in the
 * same form. A schema's error texts say what the field must be ("a number from 0 to 2"); this names the field and the value
 * that it had.
 */
import type { z } from "zod";

import { LlavaError } from "./errors.ts";

const MAX_SHOWN_LENGTH = 60;

/** The checked value. Throws `invalid_request` about the first field that is wrong. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  if (issue === undefined) throw new LlavaError("invalid_request", "The body of the request is not valid.");
  if (issue.code === "unrecognized_keys") throw unknownField(issue.path, issue.keys[0] ?? "");
  const value = valueAt(body, issue.path);
  if (issue.path.length === 0) {
    throw new LlavaError("invalid_request", `The body must be a JSON object; it is ${shown(value)}.`);
  }
  const name = fieldName(issue.path);
  const sentence =
    value === undefined
      ? `The field ${name} is missing; it must be ${issue.message}.`
      : `The field ${name} must be ${issue.message}; it is ${shown(value)}.`;
  throw new LlavaError("invalid_request", sentence, { param: name });
}

/** `messages[0].content` for `["messages", 0, "content"]`. */
function fieldName(path: readonly PropertyKey[]): string {
  let name = "";
  for (const key of path) {
    if (typeof key === "number") name += `[${key}]`;
    else name += name === "" ? shortened(String(key)) : `.${shortened(String(key))}`;
  }
  return name;
}

function unknownField(path: readonly PropertyKey[], key: string): LlavaError {
  const name = fieldName([...path, key]);
  return new LlavaError("invalid_request", `The field ${name} is not known; leave it out.`, { param: name });
}

function valueAt(body: unknown, path: readonly PropertyKey[]): unknown {
  let value = body;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return value;
    value = Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
  }
  return value;
}

/** A value as a part of a sentence: texts as JSON, cut to 60 characters, lists by their length, objects without content. */
export function shown(value: unknown): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value === "number") return `${value}`;
  return JSON.stringify(typeof value === "string" ? shortened(value) : value);
}

function shortened(text: string): string {
  return text.length <= MAX_SHOWN_LENGTH ? text : `${text.slice(0, MAX_SHOWN_LENGTH)}…`;
}

/**
 * The error of an object's schema: `what` the value must be, and nothing for unknown keys, whose own issue names them.
 */
export function hint(what: string): (issue: { readonly code?: string | undefined }) => string | undefined {
  return (issue) => (issue.code === "unrecognized_keys" ? undefined : what);
}

/** The object without its fields that are null, which mean absent in OpenAI's API; other values as they are. */
export function withoutNulls(value: unknown): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}

/** Whether the value is an object and no list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
