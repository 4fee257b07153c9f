export type { AnswerFormat } from "./answer-format.ts";
export {
  IGNORED_HEADER,
  ignoredFields,
  type AnswerRequest,
  type AnswerRequestBody,
} from "./answer-request.ts";
export * from "./answer-progress.ts";
export * from "./base64.ts";
export * from "./chat-stream.ts";
export * from "./chat-messages.ts";
export { parseChatRequest, type ChatRequest, type ChatRequestBody } from "./chat.ts";
export * from "./cluster.ts";
export * from "./completion.ts";
export * from "./errors.ts";
export * from "./hop.ts";
export * from "./llava-wire.ts";
export * from "./models.ts";
export * from "./occlusion.ts";
export type * from "./page-wire.ts";
export * from "./picture-format.ts";
export * from "./picture-key.ts";
export * from "./request-id.ts";
export { SAMPLING_LIMITS } from "./sampling-fields.ts";
export * from "./sse.ts";
export * from "./strict-json.ts";
export * from "./text-completion.ts";
export * from "./worker-list.ts";
export * from "./worker-report.ts";
