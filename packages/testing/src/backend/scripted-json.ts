/** Writes an instance of a JSON schema, so that the scripted backend has a JSON mode; knows the keywords that tests use. */
import { LlavaError, type AnswerFormat } from "@llava/protocol";
import { mix, uniform } from "./scripted-model.ts";

type Schema = Readonly<Record<string, unknown>>;

const KNOWN = new Set([
  "type",
  "enum",
  "properties",
  "required",
  "additionalProperties",
  "minimum",
  "maximum",
]);

/** The text of an instance; equal seeds give equal ones. @throws LlavaError `invalid_request` with the place of an unknown keyword */
export function jsonInstance(format: AnswerFormat, seed: number): string {
  if (format.type === "json") return JSON.stringify({ answer: uniform(seed) });
  return JSON.stringify(instanceOf(format.schema, seed, ""));
}

function instanceOf(schema: Schema, seed: number, place: string): unknown {
  for (const name of Object.keys(schema)) if (!KNOWN.has(name)) throw unsupported(`${place}/${name}`);
  const { enum: values, type, properties = {}, minimum = 0, maximum = 9 } = schema;
  const draw = uniform(mix(seed, place.length));
  if (Array.isArray(values)) return values[Math.floor(draw * values.length)];
  if (type === "integer") {
    const [least, most] = [Number(minimum), Number(maximum)];
    return least + Math.floor(draw * (most - least + 1));
  }
  if (type === "boolean") return draw < 0.5;
  if (type === "string") return "text";
  if (type !== "object" || !isSchema(properties)) throw unsupported(`${place}/type`);
  return Object.fromEntries(
    Object.entries(properties).map(([name, property], i) => {
      const own = `${place}/properties/${name}`;
      if (!isSchema(property)) throw unsupported(own);
      return [name, instanceOf(property, mix(seed, i), own)];
    }),
  );
}

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unsupported(place: string): LlavaError {
  return new LlavaError(
    "invalid_request",
    `The schema's ${place} is not known to the scripted backend. Leave it out.`,
    { param: "response_format" },
  );
}
