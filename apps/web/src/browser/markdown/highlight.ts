/** Colours code, from the highlighter's tree of tokens to elements; loaded with the first block of code. */
import type { HLJSApi, LanguageFn } from "highlight.js";
import core from "highlight.js/lib/core";

type Loader = () => Promise<{ readonly default: LanguageFn }>;

/** One file for each language, loaded when an answer contains it. */
const LANGUAGES: Readonly<Record<string, Loader>> = {
  bash: () => import("highlight.js/lib/languages/bash"),
  c: () => import("highlight.js/lib/languages/c"),
  cpp: () => import("highlight.js/lib/languages/cpp"),
  csharp: () => import("highlight.js/lib/languages/csharp"),
  css: () => import("highlight.js/lib/languages/css"),
  diff: () => import("highlight.js/lib/languages/diff"),
  go: () => import("highlight.js/lib/languages/go"),
  java: () => import("highlight.js/lib/languages/java"),
  javascript: () => import("highlight.js/lib/languages/javascript"),
  json: () => import("highlight.js/lib/languages/json"),
  kotlin: () => import("highlight.js/lib/languages/kotlin"),
  markdown: () => import("highlight.js/lib/languages/markdown"),
  php: () => import("highlight.js/lib/languages/php"),
  python: () => import("highlight.js/lib/languages/python"),
  ruby: () => import("highlight.js/lib/languages/ruby"),
  rust: () => import("highlight.js/lib/languages/rust"),
  sql: () => import("highlight.js/lib/languages/sql"),
  swift: () => import("highlight.js/lib/languages/swift"),
  typescript: () => import("highlight.js/lib/languages/typescript"),
  xml: () => import("highlight.js/lib/languages/xml"),
  yaml: () => import("highlight.js/lib/languages/yaml"),
};
const ALIASES: Readonly<Record<string, string>> = {
  "c++": "cpp",
  cs: "csharp",
  html: "xml",
  js: "javascript",
  jsx: "javascript",
  md: "markdown",
  py: "python",
  rb: "ruby",
  rs: "rust",
  sh: "bash",
  shell: "bash",
  svg: "xml",
  ts: "typescript",
  tsx: "typescript",
  yml: "yaml",
};
/** Longer code, in characters, would block the page noticeably. */
const MAX_LENGTH = 50_000;

interface Scope {
  readonly scope?: string;
  readonly children: readonly (Scope | string)[];
}

const hljs: HLJSApi = core;

/** Colours an element whose text is code; leaves it unchanged in an unknown language. */
export async function highlight(code: HTMLElement, language: string): Promise<void> {
  const text = code.textContent ?? "";
  const name = ALIASES[language.toLowerCase()] ?? language.toLowerCase();
  const load = Object.hasOwn(LANGUAGES, name) ? LANGUAGES[name] : undefined;
  if (load === undefined || text.length > MAX_LENGTH) return;
  if (hljs.getLanguage(name) === undefined) hljs.registerLanguage(name, (await load()).default);
  const { _emitter: emitter } = hljs.highlight(text, { language: name, ignoreIllegals: true });
  const { rootNode } = emitter as unknown as { readonly rootNode: Scope };
  // The text may have changed while the language was loaded.
  if (code.textContent === text) code.replaceChildren(...rootNode.children.map(nodeOf));
}

function nodeOf(part: Scope | string): Node | string {
  if (typeof part === "string") return part;
  const span = document.createElement("span");
  // The first word of a scope such as "title.function" names the colour.
  const [first] = (part.scope ?? "").split(".");
  if (first) span.className = `code-${first}`;
  span.append(...part.children.map(nodeOf));
  return span;
}
