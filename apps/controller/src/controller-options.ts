/** Reads the controller's command line; its options are rows of the table in packages/server/src/options. */
import { parseOptions, type OptionsOf } from "@llava/server";

export type ControllerFlags = OptionsOf<"controller">;

const DESCRIPTION = "Keeps a table of workers, picks one for each request and relays its answer.";
const EXAMPLES = `
Examples:
  llava controller
  llava controller --host 0.0.0.0 --api-key-file keys.txt --cluster-token-file cluster.txt
                                                      reachable from other machines, with a key
  llava controller --dispatch-method lottery          by speed alone, whatever waits
  llava controller --dispatch-method image_affinity   back to the worker that has seen the image, unless it is busy`;

/** @throws CommanderError on a usage error or after --help, with `exitCode` */
export function parseControllerFlags(
  argv: readonly string[],
  write?: (text: string) => void,
): ControllerFlags {
  return parseOptions("controller", { description: DESCRIPTION, examples: EXAMPLES }, argv, write);
}
