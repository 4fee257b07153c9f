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
export { requireModelMemory } from "./weights/model-memory.ts";
