/** Reads the worker's command line; its options are rows of the table in packages/server/src/options. */
import { parseOptions, type OptionsOf } from "@llava/server";
import { parseNetwork, type Network } from "./images/fetch/public-address.ts";

export interface WorkerFlags extends Omit<OptionsOf<"worker">, "deniedImageNetwork"> {
  readonly deniedImageNetwork?: readonly Network[];
}

const DESCRIPTION = "Serves one model over HTTP and reports to a controller.";
const EXAMPLES = `
Examples:
  llava worker --model-path ./llava-v1.5-7b-hf
  llava worker --model-path ./my-model --model-name my-model --port 40001
  llava worker --model-path ./my-model --device cuda:1 --controller http://10.0.0.5:10000 \\
      --host 0.0.0.0 --cluster-token-file cluster.txt
  llava worker --model-path ./llava-v1.5-7b-hf --load-4bit    in 6 GB instead of 28
  llava worker --model-path ./my-model --no-register       serve alone, without a controller`;

/** @throws CommanderError on a usage error or after --help, with `exitCode` */
export function parseWorkerFlags(argv: readonly string[], write?: (text: string) => void): WorkerFlags {
  const { deniedImageNetwork: denied, ...flags } = parseOptions(
    "worker",
    { description: DESCRIPTION, examples: EXAMPLES },
    argv,
    write,
  );
  return { ...flags, ...(denied === undefined ? {} : { deniedImageNetwork: denied.map(toNetwork) }) };
}

function toNetwork(text: string): Network {
  const network = parseNetwork(text);
  // Left out it would be fetched from. The option's reader has accepted it, so that this is a fault of ours.
  if (network === null) throw new Error(`${text} passed as a network and is none.`);
  return network;
}
