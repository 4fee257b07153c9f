/** Long answers as models write them: the same each time, for figures are held against earlier ones. */

const SENTENCES = [
  "The image shows a **grey heron** at the edge of a pond, with its neck drawn in.",
  "Behind it, _reeds_ stand in two rows, and the nearer one casts a shadow on the water.",
  "Its left foot is lifted, which `heron.pose` would call *stalking*.",
  "One can read about it [elsewhere](https://example.com/heron), though little of that is certain.",
  "The light comes from the upper left, so the back is bright and the breast is dark.",
];
const CODE = `function nearest(points, to) {
  let best = null;
  for (const point of points) {
    const distance = Math.hypot(point.x - to.x, point.y - to.y);
    // Ties go to the first.
    if (best === null || distance < best.distance) best = { point, distance };
  }
  return best?.point ?? null;
}`;

/** Paragraphs, lists, tables and code in turns, as many characters as asked for. */
export function longMarkdown(length: number): string {
  let text = "";
  for (let section = 1; text.length < length; section++) text += sectionOf(section);
  return text.slice(0, length);
}

/** About four characters each, as a model's tokens are. */
export function tokensOf(text: string): readonly string[] {
  return text.match(/[^]{1,4}/g) ?? [];
}

function sectionOf(number: number): string {
  const sentence = (index: number): string => SENTENCES[(number + index) % SENTENCES.length] ?? "";
  const paragraph = [0, 1, 2, 3].map(sentence).join(" ");
  const list = [0, 1, 2, 3].map((index) => `- ${sentence(index)}\n  - and below it, ${index} more`);
  const rows = [1, 2, 3, 4, 5, 6].map((row) => `| ${row} | heron ${row * number} | **${row / 2}** m |`);
  const table = ["| # | what | height |", "|--:|---|:-:|", ...rows].join("\n");
  return [
    `## Part ${number}`,
    paragraph,
    list.join("\n"),
    table,
    `\`\`\`js\n${CODE}\n\`\`\``,
    paragraph,
    "",
  ].join("\n\n");
}
