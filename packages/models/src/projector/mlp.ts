/** The projector family "mlp2x_gelu" is a linear layer, an exact GELU and a linear layer. */
import { partOfProjector, type ProjectorFamily } from "./projector-family.ts";

const PROJECTOR = "multi_modal_projector";
/** Hugging Face's names of the modules that LLaVA numbers; 1 is the activation. */
const MODULES: ReadonlyMap<string, string> = new Map([
  ["0", "linear_1"],
  ["2", "linear_2"],
]);

export const mlp2xGelu: ProjectorFamily = {
  buildGraph(ops, { outputSize, bias }, features) {
    const hidden = ops.gelu(ops.linear(features, `${PROJECTOR}.linear_1`, outputSize, { bias }));
    return ops.linear(hidden, `${PROJECTOR}.linear_2`, outputSize, { bias });
  },
  tensorName(stored) {
    const [number = "", kind] = partOfProjector(stored)?.split(".") ?? [];
    const module = MODULES.get(number);
    return module === undefined ? undefined : `${PROJECTOR}.${module}.${kind}`;
  },
};
