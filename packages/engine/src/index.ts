export { Engine, type EngineInfo, type EngineOptions, type LoadProgress, type Occupancy } from "./engine.ts";
export type { EngineEvent, FinishReason, GenerateRequest, Message, Timings, Usage } from "./request.ts";
