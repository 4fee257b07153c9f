/**
 * Writes EBNF rules for the parts of a JSON schema that the grammar library (web-xgrammar 0.1.27) gets wrong: it joins states
 * of its automata that differ (mlc-ai/xgrammar#618), so that it makes `"caaa"` of `"c"` and `"ca"`, and it lets control
 * characters into strings of a given length. The library does not touch a rule that only names another one, so choices here
 * are between such rules.
 */

/** A constant that the schema for the library has in place of a rule, and the rule's name, which replaces it in the grammar. */
export interface GrammarRule {
  readonly constant: string;
  readonly name: string;
}

/** Ranges of code points that JSON lets stand in a string as they are. */
const PLAIN: readonly (readonly [number, number])[] = [
  [0x20, 0x21],
  [0x23, 0x5b],
  [0x5d, 0x10_ff_ff],
];
const CLASSES: Readonly<Record<string, string>> = { d: "0-9", w: "a-zA-Z0-9_" };

export class GrammarRules {
  readonly #marker: string;
  readonly #places: GrammarRule[] = [];
  readonly #lines: string[] = [];

  /** `marker` begins the constants; it must not occur in the schema. */
  constructor(marker: string) {
    this.#marker = marker;
  }

  get places(): readonly GrammarRule[] {
    return this.#places;
  }

  /** EBNF, a rule a line. */
  get text(): string {
    return this.#lines.join("\n");
  }

  /** One of some values. Returns, as `length` and `pattern` do, the constant for the library. */
  values(values: readonly unknown[]): string {
    return this.#place(this.#choice(values.map((value) => JSON.stringify(spelled(value)))));
  }

  /** A string of a length in code points. */
  length(least: number, most: number | undefined): string {
    const plain = PLAIN.map(([first, last]) => range(first, last)).join("");
    return this.#place(this.#quoted(this.#rule(`[${plain}]{${least},${most ?? ""}}`)));
  }

  /** A string that matches a regular expression, which must be one that `grammarSchema` takes. */
  pattern(pattern: string): string {
    const rest = Array.from(pattern.slice(1, -1));
    return this.#place(this.#quoted(this.#alternatives(rest)));
  }

  #alternatives(rest: string[]): string {
    const sequences = [this.#sequence(rest)];
    while (rest[0] === "|") {
      rest.shift();
      sequences.push(this.#sequence(rest));
    }
    rest.shift();
    return this.#choice(sequences);
  }

  #sequence(rest: string[]): string {
    const parts: string[] = [];
    while (rest.length > 0 && rest[0] !== "|" && rest[0] !== ")") {
      const atom = this.#atom(rest);
      const repetition = /^(?:[*+?]|\{\d+(?:,\d*)?\})/.exec(rest.join(""))?.[0] ?? "";
      rest.splice(0, repetition.length);
      parts.push(repetition === "" ? atom : this.#rule(atom + repetition));
    }
    return parts.length === 0 ? '""' : parts.join(" ");
  }

  #atom(rest: string[]): string {
    const first = rest.shift() ?? "";
    if (first === "(") {
      if (rest[0] === "?") rest.splice(0, "?:".length);
      return this.#alternatives(rest);
    }
    const inner = first === "[" ? takeClass(rest) : first === "\\" ? `\\${rest.shift()}` : first;
    return this.#rule(characterClass(inner));
  }

  #quoted(name: string): string {
    return this.#rule(String.raw`"\"" ${name} "\""`);
  }

  #choice(bodies: readonly string[]): string {
    return this.#rule(bodies.map((body) => this.#rule(body)).join(" | "));
  }

  /** The name of a rule that names the rule. */
  #rule(body: string): string {
    const name = `llava_${this.#lines.length / 2}`;
    this.#lines.push(`${name}_body ::= ${body}`, `${name} ::= ${name}_body`);
    return name;
  }

  #place(name: string): string {
    const constant = `${this.#marker}${this.#places.length}.`;
    this.#places.push({ constant, name });
    return constant;
  }
}

/** The library's grammar with our rules in their places. Throws when one is missing. */
export function joinRules(grammar: string, rules: string, places: readonly GrammarRule[]): string {
  let joined = grammar;
  for (const { constant, name } of places) {
    const literal = String.raw`"\"${constant}\""`;
    if (!joined.includes(literal)) throw new Error(`The grammar of the schema has no place for ${name}.`);
    joined = joined.replaceAll(literal, name);
  }
  return `${joined}\n${rules}\n`;
}

/** JSON as the library writes it: a space behind each comma and colon. */
function spelled(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spelled).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([name, one]) => `${JSON.stringify(name)}: ${spelled(one)}`)
    .join(", ")}}`;
}

/** Takes the characters up to the closing bracket, and the bracket. */
function takeClass(rest: string[]): string {
  let inner = "";
  while (rest.length > 0) {
    const character = rest.shift() ?? "";
    if (character === "]") break;
    inner += character === "\\" ? `\\${rest.shift()}` : character;
  }
  return inner;
}

/** An EBNF class of a regular expression's class, without the quote and the backslash, which ranges may include. */
function characterClass(inner: string): string {
  const named = inner.replaceAll(/\\([dw])/g, (_, name: string) => CLASSES[name] ?? "");
  const items = named.matchAll(/\\?(.)(?:-\\?(.))?/gsu);
  const ranges = [...items].flatMap(([, first = "", last = first]) =>
    PLAIN.flatMap(([from, to]) => {
      const [a, b] = [Math.max(from, first.codePointAt(0) ?? 0), Math.min(to, last.codePointAt(0) ?? 0)];
      return a <= b ? [range(a, b)] : [];
    }),
  );
  return `[${ranges.join("")}]`;
}

function range(first: number, last: number): string {
  const escaped = (point: number): string => String.raw`\U${point.toString(16).padStart(8, "0")}`;
  return first === last ? escaped(first) : `${escaped(first)}-${escaped(last)}`;
}
