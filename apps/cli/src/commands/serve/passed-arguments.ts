/** Makes arguments for the programs that `llava serve` starts from those of its own options that it passes on. */
import { OPTION_ROWS, type AppName, type OptionsOf } from "@llava/server/command";
import { Option } from "commander";

type ServeOptions = Partial<OptionsOf<"serve">>;
type Value = ServeOptions[keyof ServeOptions];

/** The options of `serve` that the table passes to the program, as arguments: only what was given. */
export function passedArguments(options: ServeOptions, program: AppName): string[] {
  const values = new Map(Object.entries(options));
  return [...OPTION_ROWS].flatMap(([key, { flags, programs }]) => {
    if (programs.serve?.passedTo?.includes(program) !== true) return [];
    return argumentsFor(new Option(flags).long ?? "", values.get(key));
  });
}

function argumentsFor(name: string, value: Value): string[] {
  if (value === undefined || value === false) return [];
  if (value === true) return [name];
  return [value].flat().flatMap((one) => [name, String(one)]);
}
