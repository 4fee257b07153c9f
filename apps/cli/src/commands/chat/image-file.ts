/** Reads a picture that a person named on the command line, with a sentence for every way in which that can fail. */
import { open } from "node:fs/promises";
import { LlavaError } from "@llava/protocol";

const MAX_PICTURE_BYTES = 10 << 20;

/** @returns the file's bytes, still encoded; whether they are a picture is the decoder's business */
export async function readPictureFile(path: string): Promise<Uint8Array> {
  if (/^https?:\/\//i.test(path))
    throw new LlavaError(
      "invalid_image",
      `${path} is an address. Save the picture first and give the file's path.`,
    );
  try {
    await using file = await open(path, "r");
    const stat = await file.stat();
    if (!stat.isFile())
      throw new LlavaError("invalid_image", `${path} is not a file. Give the path of a picture.`);
    if (stat.size > MAX_PICTURE_BYTES)
      throw new LlavaError(
        "invalid_image",
        `${path} has ${stat.size} bytes; a picture may have ${MAX_PICTURE_BYTES}. Save it smaller.`,
      );
    return await file.readFile();
  } catch (thrown) {
    if (thrown instanceof LlavaError) throw thrown;
    throw new LlavaError("invalid_image", `The picture ${path} cannot be read: ${reasonOf(thrown)}.`, {
      cause: thrown,
    });
  }
}

function reasonOf(thrown: unknown): string {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES" || code === "EPERM") return "this user may not open it";
  if (code === "EISDIR") return "it is a folder";
  return thrown instanceof Error ? thrown.message : String(thrown);
}
