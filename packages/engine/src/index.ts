export { Engine, type EngineInfo, type Occupancy } from "./engine.ts";
export type { EngineOptions, LoadProgress } from "./engine-options.ts";
export type { GrammarSource } from "./grammar.ts";
export type { OcclusionEvent, OcclusionMap, OcclusionRequest } from "./occlusion-map.ts";
export type { TokenLogprob, TokenLogprobs } from "./logprobs.ts";
export type {
  PictureShapes,
  EngineEvent,
  FinishReason,
  GenerateRequest,
  Message,
  MessagePart,
  Timings,
  Usage,
} from "./request.ts";
