export { AdmissionQueue, type AdmissionLimits, type Permit, type QueuePlace } from "./admission-queue.ts";
export type {
  Backend,
  BackendCapabilities,
  BackendCard,
  BackendOccupancy,
  BackendRequest,
  LoadBackend,
  LoadProgress,
  SequenceProgress,
} from "./backend.ts";
export type {
  ChoiceEvent,
  FinishReason,
  GenerateEvent,
  Timings,
  TokenLogprob,
  TokenLogprobs,
  Usage,
} from "./backend-event.ts";
export type { GenerateRequest, ImageShape, ImageShapes, Message, MessagePart } from "./generate-request.ts";
export type { AnswerSpan, OcclusionEvent, OcclusionMap, OcclusionRequest } from "./occlusion-request.ts";
