export { Engine, type EngineInfo, type Occupancy } from "./engine.ts";
export type { EngineOptions, LoadProgress } from "./api/engine-options.ts";
export { requireModelMemory } from "./weights/memory-check.ts";
export type { GrammarSource } from "./grammar/grammar.ts";
export type { OcclusionEvent, OcclusionMap, OcclusionRequest } from "./occlusion/occlusion-map.ts";
export type { TokenLogprob, TokenLogprobs } from "./sampling/logprobs.ts";
export type {
  ImageShapes,
  EngineEvent,
  FinishReason,
  GenerateRequest,
  Message,
  MessagePart,
  Timings,
  Usage,
} from "./api/request.ts";
