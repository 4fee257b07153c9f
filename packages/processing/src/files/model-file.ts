/** Reads the small files of a model folder within size limits, with a sentence for each way in which they can be bad. */
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { LlavaError } from "@llava/protocol";
import { z } from "zod";

/** Files that a folder must have, for the sentences about what is missing. */
const EXPECTED_FILES =
  "config.json, tokenizer.json, tokenizer_config.json, preprocessor_config.json and the weights as safetensors";

/** The JSON value in `name`, or `null` when the folder has no such file. */
export async function readOptionalJson(folder: string, name: string, maxBytes: number): Promise<unknown> {
  const text = await readOptionalText(folder, name, maxBytes);
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new LlavaError(
      "invalid_checkpoint",
      `${name} in ${folder} is not valid JSON. The file is damaged or was edited wrongly; copy it again from where the model came from.`,
      { cause },
    );
  }
}

/** The JSON value in `name`. `hint` ends the sentence when the file is missing. */
export async function readJson(folder: string, name: string, maxBytes: number, hint = ""): Promise<unknown> {
  const value = await readOptionalJson(folder, name, maxBytes);
  if (value !== null) return value;
  throw new LlavaError(
    "invalid_checkpoint",
    `${folder} has no usable ${name}. ${hint === "" ? `A model folder holds ${EXPECTED_FILES}.` : hint}`,
  );
}

/** The text of `name`, or `null` when the folder has no such file. Longer than `maxBytes` is refused unread. */
export async function readOptionalText(
  folder: string,
  name: string,
  maxBytes: number,
): Promise<string | null> {
  const path = join(folder, name);
  const file = await open(path, "r").catch((cause: unknown) => {
    if (isMissing(cause)) return null;
    throw new LlavaError("invalid_checkpoint", `${path} cannot be opened. Check that you may read it.`, {
      cause,
    });
  });
  if (file === null) return null;
  try {
    const { size } = await file.stat();
    if (size > maxBytes) {
      throw new LlavaError(
        "invalid_checkpoint",
        `${path} is ${size} bytes long; such a file has at most ${maxBytes}. Check that it is the right file.`,
      );
    }
    return await file.readFile("utf8");
  } catch (cause) {
    if (cause instanceof LlavaError) throw cause;
    throw new LlavaError("invalid_checkpoint", `${path} cannot be read. Check that it is a plain file.`, {
      cause,
    });
  } finally {
    await file.close();
  }
}

/** Throws `model_not_found` unless `folder` is a folder that exists. */
export async function requireFolder(folder: string): Promise<void> {
  const status = await stat(folder).catch(() => null);
  if (status === null) {
    throw new LlavaError("model_not_found", `There is no folder ${folder}. Give the path of a model folder.`);
  }
  if (!status.isDirectory()) {
    throw new LlavaError(
      "model_not_found",
      `${folder} is a file, not a folder. Give the path of the folder that holds ${EXPECTED_FILES}.`,
    );
  }
}

/** `value` through `schema`; the first thing that is wrong becomes a sentence with file, key and value. */
export function parseModelJson<T>(file: string, schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const key = issue === undefined || issue.path.length === 0 ? "the whole file" : issue.path.join(".");
  const found = issue === undefined || issue.input === undefined ? "missing" : JSON.stringify(issue.input);
  throw new LlavaError(
    "invalid_checkpoint",
    `${file}: ${key} is ${(found ?? "not JSON").slice(0, 80)}, which cannot be right (${issue?.message ?? "invalid"}). Copy the file again from where the model came from.`,
    { cause: result.error },
  );
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && (cause.code === "ENOENT" || cause.code === "ENOTDIR");
}
