export { Engine, type EngineInfo, type Occupancy } from "./engine.ts";
export type { ComputeType } from "@llava/models";
export type { EngineOptions, LoadProgress } from "./api/engine-options.ts";
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
export { type MemoryOptions, requireModelMemory } from "./weights/model-memory.ts";
export type { MemoryEstimate } from "./weights/memory.ts";
export type { WeightDType } from "./weights/weight-dtype.ts";
