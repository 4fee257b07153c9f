export { Engine, type EngineInfo, type Occupancy } from "./engine.ts";
export type { EngineOptions } from "./api/engine-options.ts";
export type { LoadProgress, OcclusionEvent, OcclusionMap, OcclusionRequest } from "@llava/backend";
export type { ComputeType } from "@llava/models";
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
