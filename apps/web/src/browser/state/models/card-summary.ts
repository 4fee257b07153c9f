/** Shortens a model card, which is long Markdown, to the one or two sentences for which the page has room. */

export interface CardSummary {
  /** First paragraph of the card. */
  readonly description: string | null;
  /** First paragraph under a heading about limits. */
  readonly limits: string | null;
}

const MAX_LENGTH = 280;

/** @param card Markdown, perhaps with YAML front matter */
export function summarize(card: string | null | undefined): CardSummary {
  const text = (card ?? "").replaceAll("\r\n", "\n").replace(/^---\n[\s\S]*?\n---\n/, "");
  const blocks = text.split(/\n{2,}/).map((block) => block.trim());
  const limits = blocks.findIndex((block) => /^#{1,6} .*limit/i.test(block));
  return {
    description: firstParagraph(blocks),
    limits: limits < 0 ? null : firstParagraph(blocks.slice(limits)),
  };
}

/** Headings, tables, lists, quotations, code and HTML are skipped; text may follow a heading in the same block. */
function firstParagraph(blocks: readonly string[]): string | null {
  for (const block of blocks) {
    const prose = block.replace(/^#{1,6} .*\n?/, "").trim();
    if (prose !== "" && !/^([|>`<!]|[-*+] |\d+\. )/.test(prose)) return shortened(plain(prose));
  }
  return null;
}

function plain(markdown: string): string {
  return markdown
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/[*`]+|\b__|__\b/g, "")
    .replace(/\s+/g, " ");
}

/** As many whole sentences as fit. */
function shortened(text: string): string {
  if (text.length <= MAX_LENGTH) return text;
  const start = text.slice(0, MAX_LENGTH);
  const end = start.lastIndexOf(". ");
  return end > 0 ? start.slice(0, end + 1) : `${start.slice(0, start.lastIndexOf(" "))}…`;
}
