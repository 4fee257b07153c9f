/** Writes README.md of this folder: each script replaces its own section and leaves the others. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { thisMachine } from "../bench/results/bench-results.ts";

const PAGE = path.join(import.meta.dirname, "README.md");

/** The sections in their order. */
const SECTIONS = ["table", "soak", "storm"] as const;
type Section = (typeof SECTIONS)[number];

const HEAD = `# What happens when something fails

Written by scripts: \`npm run faults -- --write\`, \`npm run soak -- --write\` and \`npx node scripts/faults/abort-storm.ts --write\`. Every
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

/** The date and the machine of a run, as each section names them. */
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
