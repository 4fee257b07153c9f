/**
 * Renders tokens of Markdown to elements. It never makes a string of HTML, so a model's text can be shown but cannot
 * act. HTML in the text is shown as text, and images are shown as links, because loading an image from another server
 * would tell that server of the visit.
 */
import type { MarkedToken, Token, Tokens } from "marked";

import { copyText } from "../ui/copy-text.ts";
import { TEXTS } from "../ui/texts.ts";
import type { MathBlockToken, MathToken } from "./math-syntax.ts";
import { formula } from "./math-view.ts";

type BlockName =
  | "heading"
  | "paragraph"
  | "text"
  | "html"
  | "code"
  | "blockquote"
  | "list"
  | "table"
  | "hr"
  | "space"
  | "def";
/** The lexer makes no other tokens without further extensions. */
type BlockToken = Extract<MarkedToken, { type: BlockName }> | MathBlockToken;
type InlineName = "strong" | "em" | "del" | "codespan" | "br" | "link" | "image" | "text" | "escape" | "html";
type InlineToken = Extract<MarkedToken, { type: InlineName }> | MathToken;

const SAFE_LINK = /^(https?:|mailto:)/i;

/** Null for a token that shows nothing. */
export function renderBlock(token: Token): HTMLElement | null {
  const block = token as BlockToken;
  switch (block.type) {
    case "heading":
      return element(headingName(block.depth), inline(block.tokens));
    case "paragraph":
      return element("p", inline(block.tokens));
    case "text":
      return element("p", block.tokens ? inline(block.tokens) : [decoded(block.text)]);
    case "html":
      return element("p", [block.raw.trimEnd()]);
    case "code":
      return codeBlock(block);
    case "blockquote":
      return element("blockquote", blocks(block.tokens));
    case "list":
      return list(block);
    case "table":
      return table(block);
    case "hr":
      return document.createElement("hr");
    case "mathBlock":
      return mathBlock(block);
    case "space":
    case "def":
      return null;
  }
}

/** The page uses the levels above itself; models begin with the first or the second level. */
function headingName(depth: number): "h4" | "h5" | "h6" {
  if (depth <= 2) return "h4";
  return depth === 3 ? "h5" : "h6";
}

function blocks(tokens: readonly Token[]): readonly HTMLElement[] {
  return tokens.flatMap((token) => renderBlock(token) ?? []);
}

function list({ ordered, start, items }: Tokens.List): HTMLElement {
  const found = document.createElement(ordered ? "ol" : "ul");
  if (found instanceof HTMLOListElement && typeof start === "number" && start !== 1) found.start = start;
  for (const item of items) found.append(listItem(item));
  return found;
}

function listItem({ task, checked, tokens, loose }: Tokens.ListItem): HTMLElement {
  const item = document.createElement("li");
  if (task) {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.disabled = true;
    // Set as an attribute because `patch` compares attributes.
    box.toggleAttribute("checked", checked === true);
    box.setAttribute("aria-label", checked === true ? TEXTS.words.done : TEXTS.words.open);
    item.append(box, " ");
  }
  for (const token of tokens) {
    // The text of a tight list is a direct child of its item.
    if (token.type === "text" && !loose) item.append(...inline((token as Tokens.Text).tokens ?? []));
    else if (token.type !== "checkbox") item.append(...blocks([token]));
  }
  return item;
}

function table({ header, rows }: Tokens.Table): HTMLElement {
  const cell = (name: "th" | "td") => (each: Tokens.TableCell) => {
    const made = element(name, inline(each.tokens));
    if (each.align) made.dataset["align"] = each.align;
    return made;
  };
  const head = element("thead", [element("tr", header.map(cell("th")))]);
  const body = element(
    "tbody",
    rows.map((row) => element("tr", row.map(cell("td")))),
  );
  const wrapper = element("div", [element("table", [head, body])]);
  wrapper.className = "table-scroll";
  // Wide tables scroll, and `tabIndex` makes that possible by keyboard.
  wrapper.tabIndex = 0;
  wrapper.setAttribute("role", "region");
  wrapper.setAttribute("aria-label", TEXTS.words.table);
  return wrapper;
}

function codeBlock({ text, lang }: Tokens.Code): HTMLElement {
  const language = (lang ?? "").split(/\s/)[0] ?? "";
  const code = element("code", [text]);
  if (language !== "") code.dataset["language"] = language;
  const copy = element("button", [TEXTS.turn.copy]);
  copy.setAttribute("type", "button");
  copy.className = "copy-code";
  copy.addEventListener("click", () => {
    const code = copy.closest(".code")?.querySelector("code");
    void copyText(code?.textContent ?? "", (isCopied) => {
      copy.textContent = isCopied ? TEXTS.turn.copied : TEXTS.turn.copy;
    });
  });
  const label = element("span", [language]);
  const bar = element("div", [label, copy]);
  bar.className = "code-bar";
  const pre = element("pre", [code]);
  pre.tabIndex = 0;
  const block = element("div", [bar, pre]);
  block.className = "code";
  return block;
}

function mathBlock({ tex, raw }: MathBlockToken): HTMLElement {
  if (tex === null) return element("p", [raw.trimEnd()]);
  const block = element("div", [formula(tex, raw.trim(), true)]);
  block.className = "math-block";
  // Long formulas scroll, and `tabIndex` makes that possible by keyboard.
  block.tabIndex = 0;
  block.setAttribute("role", "group");
  block.setAttribute("aria-label", TEXTS.words.formula);
  return block;
}

function inline(tokens: readonly Token[]): readonly (Node | string)[] {
  return tokens.map(renderInline);
}

function renderInline(inlineToken: Token): Node | string {
  const token = inlineToken as InlineToken;
  switch (token.type) {
    case "strong":
      return element("strong", inline(token.tokens));
    case "em":
      return element("em", inline(token.tokens));
    case "del":
      return element("del", inline(token.tokens));
    case "codespan":
      return element("code", [token.text]);
    case "br":
      return document.createElement("br");
    case "link":
      return link(token.href, inline(token.tokens));
    case "image":
      return link(token.href, [decoded(token.text) || token.href]);
    case "text":
      return token.tokens ? element("span", inline(token.tokens)) : decoded(token.text);
    case "escape":
      return token.text;
    case "html":
      return token.raw;
    case "math":
      return formula(token.tex, token.raw, token.isDisplay);
  }
}

/** Text that links to the address if its scheme cannot run code, and plain text otherwise. */
function link(href: string, words: readonly (Node | string)[]): HTMLElement {
  if (!SAFE_LINK.test(href)) return element("span", words);
  const made = element("a", words) as HTMLAnchorElement;
  made.href = href;
  made.target = "_blank";
  made.rel = "noopener noreferrer nofollow";
  return made;
}

function element(name: keyof HTMLElementTagNameMap, children: readonly (Node | string)[]): HTMLElement {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

/** Named character references, by their exact case; names of accented letters are not included. */
const NAMED: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00a0",
  copy: "©",
  deg: "°",
  times: "×",
  middot: "·",
  ndash: "–",
  mdash: "—",
  hellip: "…",
  larr: "←",
  rarr: "→",
};

/** Replaces the character references that models commonly write. */
function decoded(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(\w{2,6}));/gi, (whole, decimal, hex, name) => {
    const code = decimal ? Number(decimal) : hex ? Number.parseInt(String(hex), 16) : null;
    if (code === null) return Object.hasOwn(NAMED, String(name)) ? (NAMED[String(name)] ?? whole) : whole;
    const isCharacter = code > 0 && code <= 0x10_ff_ff && !(code >= 0xd8_00 && code <= 0xdf_ff);
    return isCharacter ? String.fromCodePoint(code) : "\ufffd";
  });
}
