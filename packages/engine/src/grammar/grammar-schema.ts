/**
 * Rewrites a JSON schema with the keywords that the grammar library honours, or refuses it: the library ignores keywords that
 * it does not know, and an answer that breaks the schema is worse than none. What it honours was found by trying
 * (grammar.test.ts).
 */
import { LlavaError } from "@llava/protocol";
import { type GrammarRule, GrammarRules } from "./grammar-rules.ts";

type Schema = Readonly<Record<string, unknown>>;
type Draft = Record<string, unknown>;

const LIMITS = {
  bytes: 16 << 10,
  depth: 16,
  properties: 64,
  repetitions: 256,
  /** Most integers between two bounds. */
  integers: 1024,
  pattern: 64,
} as const;

const TYPES = new Set(["string", "number", "integer", "boolean", "null", "object", "array"]);
const BOUNDS = ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"] as const;
/** Keywords that are notes for people and change no answer. */
const NOTES = new Set([
  "title",
  "description",
  "default",
  "examples",
  "deprecated",
  "$schema",
  "$id",
  "$comment",
]);

/**
 * Regular expressions that the library follows: anchored at both ends, without anything that could write a quote or a
 * backslash into the JSON around them.
 */
const PATTERN = new RegExp(
  String.raw`^\^(?:\\[dw.*+?()[\]{}|/-]|\[(?:\\[dw.*+?()[\]{}|/-]|[^\\"^[\]\p{Cc}])+\]|\((?:\?:)?(?!\?)|[)|*+?]|\{\d{1,3}(?:,\d{0,3})?\}|[^\\".^$|()[\]{}*+?\p{Cc}])*\$$`,
  "u",
);
/** Characters that a schema's property names must not have, because they stand in the answer as they are. */
const UNSAFE_NAME = /["\\\p{Cc}]/u;

/** Keywords that may stand beside each type. */
const KEYWORDS: Readonly<Record<string, readonly string[]>> = {
  string: ["minLength", "maxLength", "pattern"],
  integer: BOUNDS,
  number: [],
  object: ["properties", "required", "additionalProperties"],
  array: ["items", "prefixItems", "minItems", "maxItems"],
  boolean: [],
  null: [],
};

/** A schema for the library: its grammar, with `rules` in the places of their constants, is that of the original schema. */
export interface GrammarSchema {
  readonly schema: Schema;
  readonly places: readonly GrammarRule[];
  /** EBNF. */
  readonly rules: string;
}

/** Throws `invalid_request` that names the first thing which cannot be followed. */
export function grammarSchema(schema: Schema): GrammarSchema {
  const json = JSON.stringify(schema);
  const bytes = Buffer.byteLength(json);
  if (bytes > LIMITS.bytes) throw refused("", `has ${bytes} bytes; at most ${LIMITS.bytes} are taken`);
  const draft: Draft = JSON.parse(json);
  const rules = new GrammarRules(unusedIn(json));
  requireNode(draft, { root: draft, rules, depth: 0, at: "" });
  return { schema: draft, places: rules.places, rules: rules.text };
}

function unusedIn(json: string): string {
  let marker = "rule";
  while (json.includes(marker)) marker += "-";
  return marker;
}

interface Place {
  readonly root: Schema;
  readonly rules: GrammarRules;
  readonly depth: number;
  readonly at: string;
}

function requireNode(node: unknown, place: Place): void {
  const { at, depth } = place;
  if (!isRecord(node)) throw refused(at, "is no object");
  if (depth > LIMITS.depth) throw refused(at, `is more than ${LIMITS.depth} deep`);
  for (const name of ["$defs", "definitions"]) {
    if (node[name] === undefined) continue;
    if (depth > 0) throw refused(`${at}/${name}`, "may stand at the top only");
    for (const [key, definition] of entriesOf(node[name], `${at}/${name}`))
      requireNode(definition, { ...place, depth: depth + 1, at: `${at}/${name}/${key}` });
  }
  const used = Object.keys(node).filter((key) => !NOTES.has(key) && key !== "$defs" && key !== "definitions");
  const kind = ["$ref", "const", "enum", "anyOf", "type"].find((key) => used.includes(key));
  if (kind === "type") return requireTyped(node, used, place);
  const other = used.find((key) => key !== kind && !(kind === "enum" && key === "type"));
  if (other !== undefined)
    throw refused(
      `${at}/${other}`,
      kind === undefined ? "needs a type beside it" : `cannot stand beside ${kind}`,
    );
  if (kind === "$ref") requireReference(node["$ref"], place);
  if (kind === "const") become(node, place.rules.values([node["const"]]));
  if (kind === "enum") become(node, place.rules.values(listOf(node["enum"], `${at}/enum`, 1)));
  if (kind === "anyOf")
    for (const [i, one] of listOf(node["anyOf"], `${at}/anyOf`, 1).entries())
      requireNode(one, { ...place, depth: depth + 1, at: `${at}/anyOf/${i}` });
}

/** Puts a constant in the place of what the library gets wrong. */
function become(node: Draft, constant: string): void {
  for (const name of Object.keys(node)) if (name !== "$defs" && name !== "definitions") delete node[name];
  node["const"] = constant;
}

/** Only `#/$defs/name`; a definition that is nothing but a reference could lead in a circle. */
function requireReference(reference: unknown, { root, at }: Place): void {
  const [, group, name] =
    typeof reference === "string" ? (/^#\/(\$defs|definitions)\/(\w+)$/.exec(reference) ?? []) : [];
  const definitions = group === undefined ? undefined : root[group];
  const target = isRecord(definitions) && name !== undefined ? definitions[name] : undefined;
  if (!isRecord(target)) throw refused(`${at}/$ref`, "must be #/$defs/name of this schema");
  if (target["$ref"] !== undefined) throw refused(`${at}/$ref`, "leads to a reference again");
}

function requireTyped(node: Draft, used: readonly string[], place: Place): void {
  const { at } = place;
  const types = typeof node["type"] === "string" ? [node["type"]] : listOf(node["type"], `${at}/type`, 1);
  for (const type of types)
    if (typeof type !== "string" || !TYPES.has(type)) throw refused(`${at}/type`, "is no type of JSON's");
  const known = types.length === 1 ? KEYWORDS[String(types[0])] : [];
  const other = used.find((key) => key !== "type" && !known?.includes(key));
  if (other !== undefined) throw refused(`${at}/${other}`, "is not supported here");
  requireCounts(node, at);
  requirePattern(node, at);
  if (types[0] === "string") spellText(node, place);
  if (types[0] === "integer") spellIntegers(node, place);
  if (types[0] === "array" && node["items"] === undefined && node["prefixItems"] === undefined)
    throw refused(at, "needs items: what is not described is not said");
  requireChildren(node, place);
}

function requireCounts(node: Schema, at: string): void {
  for (const name of ["minLength", "maxLength", "minItems", "maxItems"]) {
    const value = node[name];
    if (value === undefined) continue;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > LIMITS.repetitions)
      throw refused(`${at}/${name}`, `must be a whole number up to ${LIMITS.repetitions}`);
  }
}

function spellText(node: Draft, { rules }: Place): void {
  const { pattern, minLength = 0, maxLength } = node;
  if (typeof pattern === "string") become(node, rules.pattern(pattern));
  else if (node["minLength"] !== undefined || maxLength !== undefined)
    become(node, rules.length(Number(minLength), maxLength === undefined ? undefined : Number(maxLength)));
}

/** Writes out the integers between two bounds one by one: the library's own ranges have holes and go too far. */
function spellIntegers(node: Draft, { rules, at }: Place): void {
  const given = BOUNDS.filter((name) => node[name] !== undefined);
  if (given.length === 0) return;
  const bound = (name: (typeof BOUNDS)[number], step: number, none: number): number => {
    const value = node[name];
    if (value === undefined) return none;
    if (typeof value === "number" && Number.isSafeInteger(value)) return value + step;
    throw refused(`${at}/${name}`, "must be a whole number");
  };
  const first = Math.max(bound("minimum", 0, -Infinity), bound("exclusiveMinimum", 1, -Infinity));
  const last = Math.min(bound("maximum", 0, Infinity), bound("exclusiveMaximum", -1, Infinity));
  const count = last - first + 1;
  if (count < 1 || count > LIMITS.integers)
    throw refused(at, `must leave 1 to ${LIMITS.integers} integers between its bounds, or have none`);
  become(node, rules.values(Array.from({ length: count }, (_, i) => first + i)));
}

function requirePattern(node: Schema, at: string): void {
  const { pattern } = node;
  if (pattern === undefined) return;
  if (typeof pattern !== "string" || pattern.length > LIMITS.pattern)
    throw refused(`${at}/pattern`, `must be a text of at most ${LIMITS.pattern} characters`);
  if (!PATTERN.test(pattern) || hasOuterChoice(pattern)) {
    throw refused(
      `${at}/pattern`,
      "must be a regular expression from ^ to $ of letters, digits, \\d, \\w, [classes], (groups|of choices) and repetitions",
    );
  }
  if (node["minLength"] !== undefined || node["maxLength"] !== undefined)
    throw refused(`${at}/pattern`, "cannot stand beside a length");
}

/** True for a choice outside of all groups, with which the library leaves out a quote of the answer's string. */
function hasOuterChoice(pattern: string): boolean {
  let depth = 0;
  for (const character of pattern.replaceAll(/\\.|\[[^\]]*\]/g, "")) {
    if (character === "(") depth++;
    if (character === ")") depth--;
    if (character === "|" && depth === 0) return true;
  }
  return false;
}

function requireChildren(node: Schema, place: Place): void {
  const { at } = place;
  const child = (value: unknown, name: string): void =>
    requireNode(value, { ...place, depth: place.depth + 1, at: `${at}/${name}` });
  const properties =
    node["properties"] === undefined ? [] : entriesOf(node["properties"], `${at}/properties`);
  if (properties.length > LIMITS.properties)
    throw refused(`${at}/properties`, `has more than ${LIMITS.properties} entries`);
  for (const [name, value] of properties) {
    if (UNSAFE_NAME.test(name))
      throw refused(`${at}/properties`, "has a name with a quote, a backslash or a control character");
    child(value, `properties/${name}`);
  }
  const required = node["required"] === undefined ? [] : listOf(node["required"], `${at}/required`, 0);
  const names = new Set(properties.map(([name]) => name));
  const missing = required.find((name) => typeof name !== "string" || !names.has(name));
  if (missing !== undefined) throw refused(`${at}/required`, "names a property that is not described");
  for (const name of ["items", "additionalProperties"])
    if (node[name] !== undefined && typeof node[name] !== "boolean") child(node[name], name);
  if (node["prefixItems"] === undefined) return;
  for (const [i, value] of listOf(node["prefixItems"], `${at}/prefixItems`, 1).entries())
    child(value, `prefixItems/${i}`);
}

function listOf(value: unknown, at: string, least: number): readonly unknown[] {
  if (Array.isArray(value) && value.length >= least && value.length <= LIMITS.repetitions) return value;
  throw refused(at, `must be a list of ${least} to ${LIMITS.repetitions}`);
}

function entriesOf(value: unknown, at: string): readonly (readonly [string, unknown])[] {
  if (isRecord(value)) return Object.entries(value);
  throw refused(at, "must be an object");
}

function isRecord(value: unknown): value is Draft {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refused(at: string, what: string): LlavaError {
  return new LlavaError(
    "invalid_request",
    `The JSON schema in response_format cannot be followed: ${at === "" ? "it" : at} ${what}.`,
    { param: "response_format" },
  );
}
