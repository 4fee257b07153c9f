/** Makes commander's options of the rows of the table, and parses a program's command line with them. */
import { Command, InvalidArgumentError, Option } from "commander";
import type { OptionRow, OptionUse, ProgramName, Several } from "./table/option-row.ts";
import { OPTION_ROWS, type OptionsOf } from "./table/option-table.ts";

const ACCESS_HELP = `
Access:
  On 127.0.0.1, which is the default, programs of this machine need no key. On any other --host the server wants
  --api-key-file, --cluster-token-file or --allow-anonymous.
  llava keys add anna --file keys.txt      makes a key, shows it once and keeps its hash
  kill -HUP PID                            reads the file of keys again
  openssl rand -hex 32 > cluster.txt       makes a cluster token; controller and workers get the same
  The token signs the requests between controller and workers, their bodies too up to 64 KiB, of larger ones the
  length. It does not encrypt: between machines use a private network or TLS.`;

/** Adds every option that the table gives the program; those that it refuses are added hidden, so that they are refused by name. */
export function addOptions(command: Command, program: ProgramName): Command {
  const groups = new Map<string, string>();
  for (const row of OPTION_ROWS.values()) {
    const use = row.programs[program];
    if (use?.refused === undefined && use !== undefined) command.addOption(optionOf(row, program, groups));
  }
  for (const row of OPTION_ROWS.values()) {
    const sentence = row.programs[program]?.refused;
    if (sentence === undefined) continue;
    for (const option of refusedOptions(row.flags, sentence)) {
      // Two rows may share a name, such as the worker's and the page's --controller.
      if (!command.options.some(({ long }) => long === option.long)) command.addOption(option);
    }
  }
  const hasServer = OPTION_ROWS.get("allowAnonymous")?.programs[program] !== undefined;
  return hasServer ? command.addHelpText("after", ACCESS_HELP) : command;
}

/** Texts of a program's help beside its options. */
export interface CommandTexts {
  readonly description: string;
  readonly examples?: string;
}

/**
 * Parses the command line of a program that runs by itself. `write` takes what goes to stdout and stderr otherwise.
 * @throws CommanderError on a usage error or after --help, with `exitCode`
 */
export function parseOptions<Program extends ProgramName>(
  program: Program,
  { description, examples = "" }: CommandTexts,
  argv: readonly string[],
  write?: (text: string) => void,
): OptionsOf<Program> {
  const command = new Command(`llava ${program}`)
    .description(description)
    .helpOption("-h, --help", "show this help")
    .allowExcessArguments(false)
    .exitOverride();
  if (examples !== "") command.addHelpText("after", examples);
  addOptions(command, program);
  if (write !== undefined) command.configureOutput({ writeOut: write, writeErr: write });
  command.parse(withDashes(argv), { from: "user" });
  return command.opts<OptionsOf<Program>>();
}

/** Some of LLaVA's scripts write --model_path: the names of the table are accepted with underscores, too. */
export function withDashes(argv: readonly string[]): string[] {
  return argv.map((argument) => {
    const name = /^--\w+(?=$|=)/.exec(argument)?.[0] ?? "";
    const dashed = name.replaceAll("_", "-");
    return NAMES.has(dashed) ? dashed + argument.slice(name.length) : argument;
  });
}

/** The long names of a row, as they are typed. */
export function namesOf({ flags }: Pick<OptionRow, "flags">): string[] {
  return flags.match(/--[a-z0-9-]+/g) ?? [];
}

/** The default of a flag in a program; `serve` has those of the programs that it passes the flag to, where they agree. */
export function defaultOf(row: OptionRow, program: ProgramName): OptionUse["default"] {
  const use = row.programs[program];
  const inherited = new Set(use?.passedTo?.map((app) => row.programs[app]?.default));
  const [only] = inherited;
  return use?.default ?? (inherited.size === 1 ? only : undefined);
}

const NAMES: ReadonlySet<string> = new Set([...OPTION_ROWS.values()].flatMap(namesOf));

function optionOf(row: OptionRow, program: ProgramName, groups: Map<string, string>): Option {
  const use = row.programs[program] ?? {};
  const option = new Option(row.flags, helpOf(row, program));
  if (use.default !== undefined) option.default(use.default, use.defaultText);
  if (use.isHidden) option.hideHelp();
  if (use.isRequired) option.makeOptionMandatory();
  if (row.implies !== undefined) option.implies(row.implies);
  if (row.reader?.choices !== undefined) option.choices(row.reader.choices);
  const claim = claimOf(row, groups);
  if (row.reader !== undefined) return option.argParser(parserOf(row, use.several ?? row.several, claim));
  if (row.group === undefined) return option;
  // A switch is parsed only when it has a preset, and only then it can be refused.
  return option.preset(true).argParser(() => {
    claim();
    return true;
  });
}

function helpOf(row: OptionRow, program: ProgramName): string {
  const use = row.programs[program];
  const variable = row.environment === undefined ? "" : ` (or ${row.environment} in the environment)`;
  // In the text and not as the option's default: `serve` passes only what was given to programs with defaults of their own.
  const inherited = use?.default === undefined ? defaultOf(row, program) : undefined;
  return (
    (use?.help ?? row.help) +
    variable +
    (inherited === undefined ? "" : ` (default: ${inherited.toString()})`)
  );
}

/** Refuses a second flag of the row's group. Commander's `conflicts` would also see the values that a flag implies. */
function claimOf({ flags, group }: OptionRow, groups: Map<string, string>): () => void {
  return () => {
    if (group === undefined) return;
    const name = namesOf({ flags })[0] ?? "";
    const earlier = groups.get(group) ?? name;
    if (earlier !== name) throw new InvalidArgumentError(`It cannot be used with ${earlier}.`);
    groups.set(group, name);
  };
}

function parserOf(
  row: OptionRow,
  several: Several | undefined,
  claim: () => void,
): (text: string) => unknown {
  const given: unknown[] = [];
  return (text) => {
    claim();
    const texts = several?.separator === undefined ? [text] : text.split(several.separator);
    const values = texts.map((one) => parsed(row, several?.separator === undefined ? one : one.trim()));
    if (several === undefined) return values[0];
    given.push(...values);
    const list = several.separator === undefined ? [...given] : [...new Set(given)];
    if (list.length > (several.most ?? Infinity))
      throw new InvalidArgumentError(`Give at most ${several.most} ${several.noun ?? "values"}.`);
    return list;
  };
}

function parsed({ reader }: OptionRow, text: string): unknown {
  const result = reader?.schema.safeParse(text);
  if (result?.success) return result.data;
  if (reader?.choices !== undefined)
    throw new InvalidArgumentError(`Allowed choices are ${reader.choices.join(", ")}.`);
  throw new InvalidArgumentError(`Give ${reader?.wanted}.`);
}

/** One for each of the flag's names, so that the sentence has the one that was given. */
function refusedOptions(flags: string, sentence: string): Option[] {
  const value = /<(.*)>$/.exec(flags)?.[1] ?? "value";
  return namesOf({ flags }).map((name) =>
    new Option(name.startsWith("--no-") ? name : `${name} [${value}]`)
      // Without it a flag that was given without a value would not be read, and so not be refused.
      .preset("")
      .hideHelp()
      .argParser(() => {
        throw new InvalidArgumentError(`${name} is known, but ${sentence}.`);
      }),
  );
}
