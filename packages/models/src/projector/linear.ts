/** The projector family "linear" is one linear layer, as the first LLaVA had it. */
import { partOfProjector, type ProjectorFamily } from "./projector-family.ts";

const PROJECTOR = "multi_modal_projector";

export const linear: ProjectorFamily = {
  buildGraph: (ops, { outputSize, bias }, features) => ops.linear(features, PROJECTOR, outputSize, { bias }),
  tensorName(stored) {
    const part = partOfProjector(stored);
    return part === undefined ? undefined : `${PROJECTOR}.${part}`;
  },
};
