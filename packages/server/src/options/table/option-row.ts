/** Describes a row of the option table, and derives from the rows the type of a program's options. */
import type { ValueReader } from "./value-readers.ts";

/** The programs that run by themselves and that `llava serve` starts. */
export const APPS = ["controller", "worker", "web"] as const;
export type AppName = (typeof APPS)[number];

/** Every program with a command line in the table. */
export const PROGRAMS = ["serve", ...APPS, "chat", "ps", "doctor", "keys"] as const;
export type ProgramName = (typeof PROGRAMS)[number];

/** A flag that may be given more than once. */
export interface Several {
  /** Separator of values within one flag; each value then counts once, however often it is given. */
  readonly separator?: string;
  readonly most?: number;
  /** Plural that the sentence about too many uses. */
  readonly noun?: string;
}

/** One flag in one program; absent fields are those of the row. */
export interface OptionUse {
  readonly help?: string;
  readonly default?: string | number | boolean | readonly string[];
  /** Text for the default in the help, where the value itself is not clear. */
  readonly defaultText?: string;
  readonly isRequired?: true;
  /** Whether the help leaves the flag out. */
  readonly isHidden?: true;
  readonly several?: Several;
  /** Why the program cannot take the flag and what to do instead: the end of a sentence that begins with its name. */
  readonly refused?: string;
  /** Programs that `llava serve` gives the flag to when it was given itself. */
  readonly passedTo?: readonly AppName[];
}

/** One flag, whichever programs have it. */
export interface OptionRow {
  /** Names as commander reads them, LLaVA's own spelling among them, with the name of the value. */
  readonly flags: string;
  readonly help: string;
  /** Parser of one value; a row without one is a switch. */
  readonly reader?: ValueReader<unknown>;
  /** Whether the flag may be given without its value and is then `true`. */
  readonly isValueOptional?: true;
  readonly several?: Several;
  /** Values of other flags that this switch stands for. */
  readonly implies?: Readonly<Record<string, string>>;
  /** Name of a group of flags of which one command line may have only one. */
  readonly group?: string;
  /** Variable of the environment that can hold the secret instead of the file that the flag names. */
  readonly environment?: string;
  readonly programs: Readonly<Partial<Record<ProgramName, OptionUse>>>;
}

export type OptionRows = Readonly<Record<string, OptionRow>>;

type One<Row> = Row extends { readonly reader: ValueReader<infer T> }
  ? Row extends { readonly isValueOptional: true }
    ? T | true
    : T
  : boolean;
type Value<Row, Use> = [Extract<Row | Use, { readonly several: Several }>] extends [never]
  ? One<Row>
  : readonly One<Row>[];
type UseIn<Row, Program> = Row extends { readonly programs: infer Uses }
  ? Program extends keyof Uses
    ? Uses[Program]
    : never
  : never;
/** The key when the program always has a value for it; never when the flag is refused or not the program's. */
type KeyIfAlways<Row, Program, Key> = [UseIn<Row, Program>] extends [never]
  ? never
  : UseIn<Row, Program> extends { readonly refused: string }
    ? never
    : UseIn<Row, Program> extends { readonly default: unknown } | { readonly isRequired: true }
      ? Key
      : never;
type KeyIfMaybe<Row, Program, Key> = [UseIn<Row, Program>] extends [never]
  ? never
  : UseIn<Row, Program> extends
        | { readonly refused: string }
        | { readonly default: unknown }
        | { readonly isRequired: true }
    ? never
    : Key;

/** What a program's command line gives, by the keys of the table. */
export type ValuesOf<Table, Program> = {
  readonly [K in keyof Table as KeyIfAlways<Table[K], Program, K>]: Value<Table[K], UseIn<Table[K], Program>>;
} & {
  readonly [K in keyof Table as KeyIfMaybe<Table[K], Program, K>]?: Value<Table[K], UseIn<Table[K], Program>>;
};
