/** README.md beside this: each script puts its own section in place and leaves the others' as they are. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { thisMachine } from "../bench/results/bench-results.ts";

const PAGE = path.join(import.meta.dirname, "README.md");

/** In the order of the page. */
const SECTIONS = ["table", "soak", "storm"] as const;
type Section = (typeof SECTIONS)[number];

const HEAD = `# What happens on bad days

Written by scripts: \`npm run faults -- --write\`, \`npm run soak -- --write\` and \`node scripts/faults/abort-storm.ts --write\`. Every
fault is made with real processes, sockets and files.
`;

export async function writeSection(section: Section, markdown: string): Promise<void> {
  const page = await readFile(PAGE, "utf8").catch(() => "");
  const sections = SECTIONS.map((name) => {
    const text = name === section ? markdown.trim() : textOf(name, page);
    return text === null ? "" : `\n${mark(name)}\n${text}\n${END}\n`;
  });
  await mkdir(path.dirname(PAGE), { recursive: true });
  await writeFile(PAGE, HEAD + sections.join(""));
}

/** When and on what, as each section says it. */
export function machineLine(): string {
  const { date, cpu, cores, node } = thisMachine();
  return `${date.slice(0, 10)}, ${cores} cores of ${cpu}, Node ${node}`;
}

const END = "<!-- end -->";

function mark(name: Section): string {
  return `<!-- ${name} -->`;
}

function textOf(name: Section, page: string): string | null {
  const start = page.indexOf(mark(name));
  if (start < 0) return null;
  const from = start + mark(name).length;
  return page.slice(from, page.indexOf(END, from)).trim();
}
