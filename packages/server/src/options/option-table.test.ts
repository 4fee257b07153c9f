import { Command, CommanderError, Option } from "commander";
import { describe, expect, test } from "vitest";
import { addOptions, defaultOf, namesOf, parseOptions, withDashes } from "./add-options.ts";
import { APPS, PROGRAMS } from "./table/option-row.ts";
import { OPTION_ROWS } from "./table/option-table.ts";

const ROWS = [...OPTION_ROWS];

function optionsOf(program: (typeof PROGRAMS)[number]): readonly Option[] {
  return addOptions(new Command(program), program).options;
}

describe("the option table", () => {
  test("each row's key is the name that commander gives its value", () => {
    for (const [key, { flags }] of ROWS) expect(new Option(flags).attributeName()).toBe(key);
  });

  test("a row has a value's name exactly when it has a reader", () => {
    for (const [key, { flags, reader }] of ROWS) expect(/[<[]/.test(flags), key).toBe(reader !== undefined);
  });

  test("the default of a row is a value that its reader accepts", () => {
    for (const [key, { reader, programs }] of ROWS) {
      for (const value of Object.values(programs).flatMap((use) => use.default ?? [])) {
        if (reader !== undefined) expect(reader.schema.safeParse(String(value)).success, key).toBe(true);
      }
    }
  });

  test("every flag of an app is taken, passed on or refused by serve", () => {
    const own = ROWS.filter(([, { programs }]) => APPS.some((app) => programs[app] !== undefined));
    const hidden = ["multiModal", "useFlashAttn", "streamInterval"];
    const forgotten = own.filter(([key, { programs }]) => !programs.serve && !hidden.includes(key));
    expect(forgotten.map(([key]) => key)).toEqual([]);
  });

  test("serve passes a flag only to programs that have it", () => {
    for (const [key, { programs }] of ROWS)
      for (const app of programs.serve?.passedTo ?? []) expect(programs[app], key).toBeDefined();
  });

  test.each(PROGRAMS)("no two visible options of %s have the same name", (program) => {
    const names = optionsOf(program).flatMap(({ short, long }) => [short, long].filter(Boolean));
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("the options of a program", () => {
  test("a default that serve leaves to a program is in the help of serve", () => {
    const help = optionsOf("serve").find(({ long }) => long === "--heartbeat-expiry");
    expect(help?.description).toMatch(/\(default: 30\)$/);
    expect(help?.defaultValue).toBeUndefined();
    const [, row] = ROWS.find(([key]) => key === "heartbeatExpiry") ?? [];
    expect(row && [defaultOf(row, "serve"), defaultOf(row, "worker")]).toEqual([30, undefined]);
  });

  test("a file of a secret names the variable that can hold it instead", () => {
    const help = optionsOf("worker").find(({ long }) => long === "--cluster-token-file");
    expect(help?.description).toContain("(or LLAVA_CLUSTER_TOKEN in the environment)");
  });

  test("names with underscores are the same flags, and values are left alone", () => {
    const argv = [
      "--model_path",
      "/m_1",
      "--conv_mode=a_b",
      "--load-4bit",
      "--no_register",
      "--un_known",
      "--",
    ];
    expect(withDashes(argv)).toEqual(
      "--model-path /m_1 --conv-mode=a_b --load-4bit --no-register --un_known --".split(" "),
    );
    expect(parseOptions("worker", { description: "" }, argv.slice(0, 3))).toMatchObject({
      modelPath: "/m_1",
      convMode: "a_b",
    });
  });

  test("a switch of a group cannot be combined with another one, whichever comes first", () => {
    const flags = ["--dtype=int8", "--load-4bit"];
    for (const argv of [flags, flags.toReversed()]) {
      let refusal = "";
      const parse = (): unknown =>
        parseOptions("chat", { description: "" }, argv, (text) => (refusal += text));
      expect(parse).toThrow(CommanderError);
      expect(refusal).toContain(`It cannot be used with ${namesOf({ flags: argv[0] ?? "" })[0]}.`);
    }
  });
});
