export { Engine, type EngineInfo, type Occupancy } from "./engine.ts";
export type { EngineOptions, LoadProgress } from "./engine-options.ts";
export type {
  EngineEvent,
  FinishReason,
  GenerateRequest,
  Message,
  MessagePart,
  Timings,
  Usage,
} from "./request.ts";
