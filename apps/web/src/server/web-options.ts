/** Reads the page server's command line; its options are rows of the table in packages/server/src/options. */
import { parseOptions, type OptionsOf } from "@llava/server";

const DESCRIPTION = "Serves the page and hands its questions to the controller.";
const EXAMPLES = `
Examples:
  llava web
  llava web --controller http://10.0.0.5:10000 --controller-key-file page-key.txt
  llava web --host 0.0.0.0 --api-key-file keys.txt    for other machines; the browser asks for the key`;

/** @throws CommanderError on a usage error or after --help, with `exitCode` */
export function parseWebFlags(argv: readonly string[], write?: (text: string) => void): OptionsOf<"web"> {
  return parseOptions("web", { description: DESCRIPTION, examples: EXAMPLES }, argv, write);
}
