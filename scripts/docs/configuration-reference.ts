/** Makes docs/reference/configuration.md: every option of every program, from the table that the programs read. */
import {
  defaultOf,
  ENVIRONMENT,
  namesOf,
  OPTION_ROWS,
  PROGRAMS,
  type OptionRow,
  type ProgramName,
} from "@llava/server/command";
import { markdownTable } from "./markdown-table.ts";

const COMMANDS: Readonly<Record<ProgramName, string>> = {
  serve: "`llava serve`: controller, workers and page together",
  controller: "`llava controller`",
  worker: "`llava worker`",
  web: "`llava web`: the page's server",
  chat: "`llava chat`",
  ps: "`llava ps`",
  doctor: "`llava doctor`",
  keys: "`llava keys add NAME`",
};

const HEAD = `# Configuration

<!-- Written by "npm run docs" from the table in packages/server/src/options; edit that. -->

Every program is configured by its command line; there are no files of settings. \`--help\` shows the same with examples.
Names may also be written with underscores (\`--model_path\`), as in some of LLaVA's scripts. A value that is not accepted is
refused with a sentence before anything starts.
`;

export function configurationReference(): string {
  return [HEAD, ...PROGRAMS.map(sectionOf), environmentSection()].join("\n");
}

function sectionOf(program: ProgramName): string {
  const rows = [...OPTION_ROWS.values()].filter(({ programs }) => programs[program] !== undefined);
  const taken = rows.filter(({ programs }) => programs[program]?.refused === undefined);
  const refused = rows.filter(({ programs }) => programs[program]?.refused !== undefined);
  const table = markdownTable(
    ["option", "value", "default", "meaning"],
    taken.map((row) => cellsOf(row, program)),
  );
  const refusals = refused.map(
    (row) => `- ${namesIn(row)}: ${row.programs[program]?.refused?.replace(/[^.]$/, "$&.")}\n`,
  );
  const list = refusals.length === 0 ? "" : `\nRefused by name:\n\n${refusals.join("")}`;
  return `## ${COMMANDS[program]}\n\n${table}${list}`;
}

function cellsOf(row: OptionRow, program: ProgramName): readonly string[] {
  const use = row.programs[program];
  const passed = use?.passedTo === undefined ? "" : ` → ${use.passedTo.join(", ")}`;
  const withValue = row.flags.replaceAll(/--[^,]+/g, "`$&`");
  const variable = row.environment === undefined ? "" : `; \`${row.environment}\` may hold it instead`;
  return [
    `${withValue}${passed}`,
    row.reader?.wanted ?? "",
    use?.isRequired ? "required" : defaultText(row, program),
    `${use?.help ?? row.help}${variable}`,
  ];
}

function defaultText(row: OptionRow, program: ProgramName): string {
  const value = defaultOf(row, program);
  // A switch is off by default.
  if (value === undefined || row.reader === undefined) return "";
  return `\`${row.programs[program]?.defaultText ?? value.toString()}\``;
}

function namesIn(row: OptionRow): string {
  return namesOf(row)
    .map((name) => `\`${name}\``)
    .join(", ");
}

function environmentSection(): string {
  const secrets = [...OPTION_ROWS.values()].flatMap((row) =>
    row.environment === undefined
      ? []
      : [[row.environment, `the secret that ${namesIn(row)} names a file of`]],
  );
  const rows = [...secrets, ...Object.entries(ENVIRONMENT)].map(([name = "", meaning = ""]) => [
    `\`${name}\``,
    meaning,
  ]);
  return `## Environment\n\n${markdownTable(["variable", "meaning"], rows)}`;
}
