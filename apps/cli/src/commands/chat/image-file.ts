/** Reads an image that was named on the command line, with a sentence for every way in which that can fail. */
import { open } from "node:fs/promises";
import { LlavaError } from "@llava/protocol";

const MAX_IMAGE_BYTES = 10 << 20;

/** @returns the file's bytes, still encoded; the decoder finds out whether they are an image */
export async function readImageFile(path: string): Promise<Uint8Array> {
  if (/^https?:\/\//i.test(path))
    throw new LlavaError(
      "invalid_image",
      `${path} is an address. Save the image first and give the file's path.`,
    );
  try {
    await using file = await open(path, "r");
    const stat = await file.stat();
    if (!stat.isFile())
      throw new LlavaError("invalid_image", `${path} is not a file. Give the path of an image.`);
    if (stat.size > MAX_IMAGE_BYTES)
      throw new LlavaError(
        "invalid_image",
        `${path} has ${stat.size} bytes; an image may have ${MAX_IMAGE_BYTES}. Save it smaller.`,
      );
    return await file.readFile();
  } catch (thrown) {
    if (thrown instanceof LlavaError) throw thrown;
    throw new LlavaError("invalid_image", `The image ${path} cannot be read: ${reasonOf(thrown)}.`, {
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
