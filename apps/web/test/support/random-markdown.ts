/** Makes random Markdown from pieces of every kind, cut off anywhere. */
import type { Random } from "@llava/demo/scenes";

const WORDS = "the picture shows a red circle and two small stars above it while nothing else is left".split(
  " ",
);
/** Characters at which blocks begin, end or merge. */
const CHARACTERS = "*_`~#>-+=|[]()!<>&$\\:.1 2\n\n\n\t ab".split("");

/** @param hasDefinitions whether the addresses of links may be defined after the links */
export function randomMarkdown(random: Random, hasDefinitions: boolean): string {
  const kinds = hasDefinitions ? [...BLOCKS, definition] : BLOCKS;
  const blocks = Array.from({ length: 1 + random.int(9) }, () => random.pick(kinds)(random));
  const text = blocks
    .map((block) => block + random.pick(["\n\n", "\n\n", "\n\n", "\n", "\n\n\n", "\n  \n"]))
    .join("");
  const lines = random.chance(0.1) ? text.replaceAll("\n", "\r\n") : text;
  return random.chance(0.3) ? lines.slice(0, random.int(lines.length + 1)) : lines;
}

const BLOCKS: readonly ((random: Random) => string)[] = [
  paragraph,
  paragraph,
  (random) => `${"#".repeat(1 + random.int(6))} ${words(random)}`,
  (random) => `${words(random)}\n${random.pick(["===", "---", "--", "="])}`,
  (random) => list(random, 0),
  (random) => list(random, 0),
  code,
  table,
  quotation,
  formula,
  (random) => random.pick(["---", "***", "* * *", "_ _ _"]),
  (random) =>
    random.pick([
      "<div>\nwords\n</div>",
      "<!-- words -->",
      "<img src=x onerror=y>",
      "<b>words</b> more",
      "<pre>\n\nx\n</pre>",
    ]),
  (random) => `    ${words(random)}\n    ${words(random)}`,
  (random) => Array.from({ length: random.int(60) }, () => random.pick(CHARACTERS)).join(""),
];

function paragraph(random: Random): string {
  return Array.from({ length: 1 + random.int(4) }, () => words(random)).join(
    random.pick([" ", "\n", "  \n", "\\\n"]),
  );
}

function words(random: Random): string {
  const some = Array.from({ length: 1 + random.int(6) }, () => random.pick(WORDS)).join(" ");
  return random.pick<(text: string) => string>([
    (text) => text,
    (text) => text,
    (text) => `**${text}** and *${text}*`,
    (text) => `***${text}* of** it`,
    (text) => `\`${text}\` ~~${text}~~`,
    (text) => `[${text}](https://example.com/${text.length} "title") ![${text}](https://example.com/x.png)`,
    (text) => `${text} [one] [${text}][two] https://example.com/a_b_c <https://example.com>`,
    (text) => `It costs $5 or $${text.length}, which $x_1 * y_2$ says: \\(a^2\\) $$\\frac{1}{2}$$ ${text}`,
    (text) => `&lt;${text}&gt; &amp; \\*${text}\\* a@example.com`,
    (text) => `*${text} **${text} _${text} \`${text}`,
  ])(some);
}

function list(random: Random, depth: number): string {
  const isOrdered = random.chance(0.4);
  const first = random.pick([0, 1, 1, 1, 9]);
  const bullet = random.pick(["-", "*", "+"]);
  const gap = random.pick(["\n", "\n", "\n\n"]);
  const items = Array.from({ length: 1 + random.int(5) }, (_, index) => {
    const mark = isOrdered ? `${first + index}.` : bullet;
    const task = random.chance(0.15) ? random.pick(["[ ] ", "[x] "]) : "";
    const indent = " ".repeat(mark.length + 1);
    const inner =
      random.chance(0.25) && depth < 3
        ? [random.pick([list(random, depth + 1), code(random), paragraph(random)])]
        : [];
    const body = [task + words(random), ...inner].join(random.pick(["\n", "\n\n"]));
    return `${mark} ${body.replaceAll("\n", `\n${indent}`)}`;
  });
  return items.join(gap);
}

function code(random: Random): string {
  const fence = random.pick(["```", "```", "````", "~~~"]);
  const lines = Array.from({ length: random.int(6) }, () =>
    random.pick(["const a = 1;", "", "# not a heading", "- no item", "`` ` ``", "| a |"]),
  );
  const end = random.chance(0.85) ? `\n${fence}` : "";
  return `${fence}${random.pick(["", "js", "python", "c++ title"])}\n${lines.join("\n")}${end}`;
}

function table(random: Random): string {
  const width = 1 + random.int(4);
  const row = (cell: () => string): string => `| ${Array.from({ length: width }, cell).join(" | ")} |`;
  const rule = row(() => random.pick(["---", ":--", "--:", ":-:"]));
  const rows = Array.from({ length: random.int(5) }, () =>
    row(() => words(random).replaceAll(/[|\n]/g, " ")),
  );
  return [row(() => random.pick(WORDS)), rule, ...rows].join("\n");
}

function quotation(random: Random): string {
  const inner = random.pick([paragraph, (other: Random) => list(other, 2), code, quotation])(random);
  return inner.replaceAll(/^/gm, random.pick(["> ", ">", "> "]));
}

function formula(random: Random): string {
  const body = random.pick([
    "E = mc^2",
    "\\begin{aligned}\na &= b \\\\\n- c &= d\n\\end{aligned}",
    "x\n= y\n+ z",
    "\\notatex{",
    "5",
  ]);
  return random.pick([
    `$$\n${body}\n$$`,
    `\\[\n${body}\n\\]`,
    `$$${body}$$`,
    `$$\n${body}`,
    `Thus:\n$$\n${body}\n$$`,
  ]);
}

function definition(random: Random): string {
  return `[${random.pick(["one", "two"])}]: ${random.pick(["https://example.com/", "javascript:alert(1)", "<https://example.com/a b>"])}`;
}
