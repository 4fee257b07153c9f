/** The common folder of files is the place from which a graph can name all of them without going upwards. */
import path from "node:path";
import { LlavaError } from "@llava/protocol";

/** `folders` are absolute and real. Throws `unsupported_model` when they share no root, as on two drives of Windows. */
export function commonFolder([first = path.resolve("."), ...others]: readonly string[]): string {
  let common = first;
  for (const folder of others) {
    while (!contains(common, folder)) {
      const parent = path.dirname(common);
      if (parent === common) throw onOtherDrive(first, folder);
      common = parent;
    }
  }
  return common;
}

function contains(folder: string, other: string): boolean {
  const way = path.relative(folder, other);
  return way !== ".." && !way.startsWith(`..${path.sep}`) && !path.isAbsolute(way);
}

function onOtherDrive(first: string, folder: string): LlavaError {
  return new LlavaError(
    "unsupported_model",
    `The weights lie on two drives, in ${first} and in ${folder}, but ONNX Runtime reads those of a graph from one. Put both folders on the same drive.`,
  );
}
