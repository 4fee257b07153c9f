/** Every flag of a single program is also one of `llava serve`, taken or refused by its name: none is forgotten. */
import { Command } from "commander";
import { expect, test } from "vitest";
import { addCommandOptions } from "../src/options/command-options.ts";
import { llava } from "./llava.ts";

/** The long flags that a help text explains, at the beginning of its lines. */
function flagsIn(help: string): string[] {
  const lines = help
    .split("\n")
    .flatMap((line) => /^ {2}((?:-\w, )?--[a-z0-9-]+(?:, --[a-z0-9-]+)*)/.exec(line)?.[1] ?? []);
  return lines.flatMap((line) => line.match(/--[a-z0-9-]+/g) ?? []);
}

test.each(["controller", "worker", "web"])("those of llava %s", async (program) => {
  const { out } = await llava(program, "--help");
  const flags = flagsIn(out);
  expect(flags.length).toBeGreaterThan(10);
  const known = addCommandOptions(new Command("serve"), "serve").options.flatMap(({ short, long }) => [
    short,
    long,
  ]);
  const forgotten = flags.filter((flag) => !known.includes(flag) && flag !== "--help");
  expect(forgotten).toEqual([]);
});
