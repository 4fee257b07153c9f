/** Runs `llava keys add`: makes an API key, prints it once and keeps its hash. */
import { existsSync, readFileSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { newApiKey, parseKeyFile } from "@llava/server/command";
import { LlavaError } from "@llava/protocol";
import type { KeysFlags } from "../options/command-options.ts";

/** Prints the key alone on stdout, so that it can be piped, and what to do with it on stderr. */
export async function addKey(name: string, { file, admin, unlimited }: KeysFlags): Promise<void> {
  const marks = [...(admin ? ["admin"] : []), ...(unlimited ? ["unlimited"] : [])];
  const { secret, line } = newApiKey(name, marks);
  const earlier = textOf(file);
  const gap = earlier === "" || earlier.endsWith("\n") ? "" : "\n";
  // Also refuses a name that the file has already.
  parseKeyFile(`${earlier}${gap}${line}\n`, file);
  await appendFile(file, `${gap}${line}\n`, { mode: 0o600 }).catch((cause: unknown) => {
    throw new LlavaError("invalid_request", `The file ${file} cannot be written.`, { cause });
  });
  process.stderr.write(
    `This is the key of ${name}; it is shown only now, ${file} has its hash:\n` +
      "(send it as Authorization: Bearer KEY; running servers read the file again on SIGHUP)\n",
  );
  process.stdout.write(`${secret}\n`);
}

function textOf(file: string): string {
  try {
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  } catch (cause) {
    throw new LlavaError("invalid_request", `The file ${file} cannot be read.`, { cause });
  }
}
