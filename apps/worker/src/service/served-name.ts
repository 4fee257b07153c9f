/** Checks the name under which a model is served. */
import { isModelName, LlavaError } from "@llava/protocol";

/** The name, if controllers accept it. @throws LlavaError `invalid_request` */
export function servedName(name: string): string {
  if (isModelName(name)) return name;
  throw new LlavaError(
    "invalid_request",
    `The model's name ${JSON.stringify(name.slice(0, 80))} holds characters that names may not have. ` +
      "Give another one with --model-name: letters, digits, spaces and ._:@+~#=,()[]/\\-, at most 256 characters.",
  );
}
