/** The engine's requests and events, under the engine's names: those of every backend. */
export type {
  FinishReason,
  GenerateEvent as EngineEvent,
  GenerateRequest,
  ImageShapes,
  Message,
  MessagePart,
  Timings,
  Usage,
} from "@llava/backend";
