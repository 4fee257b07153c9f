/** Finds the model that ships with the project, which `serve`, `chat` and `doctor` take when no other is named. */
import { fileURLToPath } from "node:url";

export const DEMO_MODEL = fileURLToPath(
  new URL("../../../../packages/demo/model/llava-demo", import.meta.url),
);
