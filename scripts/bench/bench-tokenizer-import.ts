/** Measures what tokenizer and chat templates cost from @huggingface/transformers and from its parts: `npm run bench:tokenizers`. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs, promisify } from "node:util";
import { thisMachine } from "./results/bench-results.ts";
import { median } from "./results/bench-row.ts";
import { refuse, wholeNumber } from "../support/script-flags.ts";

const ROOT = path.join(import.meta.dirname, "../..");
const DOCUMENT = path.join(ROOT, "docs/architecture/tokenizers.md");
const MODEL = path.join(ROOT, "packages/demo/model/llava-demo");
/** Between these two lines of the document stands the table. */
const MARKS = ["<!-- bench-tokenizer-import: begin -->", "<!-- bench-tokenizer-import: end -->"] as const;
const HELP = `Installs @huggingface/transformers and its parts into temporary folders and measures both. Needs the npm registry.

  npm run bench:tokenizers -- [--rounds 9] [--write]

  --rounds  processes of each kind; medians are shown (default 9)
  --write   also write the table into docs/architecture/tokenizers.md`;

const PROMPT = "USER: What is in the picture? ASSISTANT:";
const TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}";
const MESSAGES = [{ role: "USER", content: "What is in the picture?" }];

/** What the project depends on anyway, and what transformers depends on, too. */
const OURS = { "onnxruntime-node": "1.30.0", sharp: "^0.35.5" };

interface Variant {
  readonly name: string;
  /** Packages besides OURS. */
  readonly packages: Readonly<Record<string, string>>;
  /** JavaScript that puts the prompt's ids into `ids` and the rendered conversation into `text`. */
  readonly imports: string;
  readonly use: string;
}

const VARIANTS: readonly Variant[] = [
  {
    name: "`@huggingface/tokenizers` and `@huggingface/jinja`",
    packages: { "@huggingface/tokenizers": "^0.2.0", "@huggingface/jinja": "^0.5.11" },
    imports: `
      const { Tokenizer } = await import("@huggingface/tokenizers");
      const { Template } = await import("@huggingface/jinja");`,
    use: `
      const read = async (name) => JSON.parse(await readFile(MODEL + "/" + name, "utf8"));
      const tokenizer = new Tokenizer(await read("tokenizer.json"), await read("tokenizer_config.json"));
      const ids = tokenizer.encode(PROMPT).ids;
      const text = new Template(TEMPLATE).render({ messages: MESSAGES });`,
  },
  {
    name: "`@huggingface/transformers`",
    packages: { "@huggingface/transformers": "^4.3.2" },
    imports: `
      const { AutoTokenizer, env } = await import("@huggingface/transformers");`,
    use: `
      env.allowRemoteModels = false;
      env.localModelPath = dirname(MODEL);
      const tokenizer = await AutoTokenizer.from_pretrained(basename(MODEL), { local_files_only: true });
      const ids = tokenizer.encode(PROMPT);
      const text = tokenizer.apply_chat_template(MESSAGES, { chat_template: TEMPLATE, tokenize: false });`,
  },
];

interface Probe {
  readonly importMs: number;
  readonly importBytes: number;
  readonly readyMs: number;
  readonly readyBytes: number;
  readonly answer: string;
}

interface Row extends Probe {
  readonly name: string;
  readonly addedBytes: number;
  /** Copies of onnxruntime-node and of sharp in the installation. */
  readonly copies: readonly [number, number];
}

const run = promisify(execFile);
async function measureAll(rounds: number): Promise<readonly Row[]> {
  await using ours = await Installation.of(OURS);
  const ownBytes = await ours.bytes();
  const rows: Row[] = [];
  for (const { name, packages, imports, use } of VARIANTS) {
    await using folder = await Installation.of({ ...OURS, ...packages });
    await writeFile(path.join(folder.path, "probe.mjs"), probeProgram(imports, use));
    const probes: Probe[] = [];
    for (let round = 0; round <= rounds; round++) probes.push(await probe(folder.path));
    rows.push({
      name,
      // The first one has read the files into the system's cache.
      ...medians(probes.slice(1)),
      addedBytes: (await folder.bytes()) - ownBytes,
      copies: [await folder.copies("onnxruntime-node"), await folder.copies("sharp")],
    });
  }
  if (new Set(rows.map(({ answer }) => answer)).size !== 1)
    refuse("The variants do not give the same ids and text.");
  return rows;
}

/** A temporary folder with packages. */
class Installation implements AsyncDisposable {
  readonly path: string;

  private constructor(folder: string) {
    this.path = folder;
  }

  static async of(dependencies: Readonly<Record<string, string>>): Promise<Installation> {
    const folder = await mkdtemp(path.join(tmpdir(), "llava-bench-tokenizers-"));
    await writeFile(path.join(folder, "package.json"), JSON.stringify({ private: true, dependencies }));
    await run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: folder });
    return new Installation(folder);
  }

  async bytes(): Promise<number> {
    const sizes = (await this.#entries()).map(async (entry) => (await stat(entry)).size);
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  }

  async copies(name: string): Promise<number> {
    const manifest = path.join("node_modules", name, "package.json");
    return (await this.#entries()).filter((entry) => entry.endsWith(path.sep + manifest)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }

  async #entries(): Promise<readonly string[]> {
    const all = await readdir(path.join(this.path, "node_modules"), { recursive: true, withFileTypes: true });
    return all.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  }
}

function probeProgram(imports: string, use: string): string {
  return `
    import { readFile } from "node:fs/promises";
    import { basename, dirname } from "node:path";
    const MODEL = ${JSON.stringify(MODEL)};
    const PROMPT = ${JSON.stringify(PROMPT)};
    const TEMPLATE = ${JSON.stringify(TEMPLATE)};
    const MESSAGES = ${JSON.stringify(MESSAGES)};
    const bytes = process.memoryUsage.rss();
    const startedAt = performance.now();
    ${imports}
    const importMs = performance.now() - startedAt;
    const importBytes = process.memoryUsage.rss() - bytes;
    ${use}
    const readyMs = performance.now() - startedAt;
    const readyBytes = process.memoryUsage.rss() - bytes;
    const answer = Array.from(ids, Number).join() + text;
    console.log(JSON.stringify({ importMs, importBytes, readyMs, readyBytes, answer }));`;
}

async function probe(folder: string): Promise<Probe> {
  const { stdout } = await run(process.execPath, ["probe.mjs"], { cwd: folder });
  return parseProbe(stdout);
}

function parseProbe(text: string): Probe {
  return JSON.parse(text) as Probe;
}

function medians(probes: readonly Probe[]): Probe {
  const of = (key: Exclude<keyof Probe, "answer">): number => median(probes.map((each) => each[key]));
  return {
    importMs: of("importMs"),
    importBytes: of("importBytes"),
    readyMs: of("readyMs"),
    readyBytes: of("readyBytes"),
    answer: probes[0]?.answer ?? "",
  };
}

function report(rows: readonly Row[], rounds: number): string {
  const machine = thisMachine();
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  const lines = rows.map(
    ({ name, importMs, importBytes, readyMs, readyBytes, addedBytes, copies: [runtimes, sharps] }) =>
      `| ${[
        name,
        `${importMs.toFixed(0)} ms`,
        megabytes(importBytes),
        `${readyMs.toFixed(0)} ms`,
        megabytes(readyBytes),
        megabytes(addedBytes),
        `${runtimes} and ${sharps}`,
      ].join(" | ")} |`,
  );
  return [
    "| package | import | its memory | import, tokenizer of the demo model and one prompt | its memory | files beside onnxruntime-node and sharp | copies of onnxruntime-node and sharp |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...lines,
    "",
    `Medians of ${rounds} processes each; memory is resident set size beyond that of Node itself. ${machine.cpu}, ${machine.cores} cores, ${machine.platform}, Node ${machine.node}.`,
  ].join("\n");
}

async function writeDocument(table: string): Promise<void> {
  const document = await readFile(DOCUMENT, "utf8");
  const [before, rest] = document.split(MARKS[0]);
  const after = rest?.split(MARKS[1])[1];
  if (before === undefined || after === undefined)
    refuse(`${DOCUMENT} lacks the lines ${MARKS.join(" and ")}.`);
  await writeFile(DOCUMENT, `${before}${MARKS[0]}\n${table}\n${MARKS[1]}${after}`);
}

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "9" },
    write: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (flags.help) {
  console.log(HELP);
  process.exit(0);
}
const rounds = wholeNumber("--rounds", flags.rounds, [1, 1000]);
const text = report(await measureAll(rounds), rounds);
console.log(text);
if (flags.write) await writeDocument(text);
