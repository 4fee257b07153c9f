/** Exports everything that servers, clients and tools of this repository use; the page loads browser.ts instead. */
export type { AnswerFormat } from "./openai/answer-format.ts";
export {
  IGNORED_HEADER,
  ignoredFields,
  type AnswerRequest,
  type AnswerRequestBody,
} from "./openai/answer-request.ts";
export * from "./cluster/progress.ts";
export * from "./codec/base64.ts";
export * from "./openai/chat-stream.ts";
export * from "./openai/chat-messages.ts";
export { parseChatRequest, type ChatRequest, type ChatRequestBody } from "./openai/chat.ts";
export * from "./cluster/cluster-view.ts";
export * from "./openai/completion.ts";
export * from "./codec/errors.ts";
export * from "./cluster/resume.ts";
export * from "./llava/llava-wire.ts";
export * from "./openai/models.ts";
export * from "./extensions/occlusion-wire.ts";
export type * from "./page/page-wire.ts";
export * from "./codec/image-format.ts";
export * from "./codec/image-key.ts";
export * from "./codec/request-id.ts";
export { SAMPLING_LIMITS } from "./openai/sampling-fields.ts";
export * from "./codec/sse.ts";
export * from "./codec/stream-splitter.ts";
export * from "./codec/json/json-guard.ts";
export { isJsonSpace, JsonScanner, SEARCH_WORK } from "./codec/json/json-scanner.ts";
export * from "./openai/text-completion.ts";
export * from "./cluster/worker-list.ts";
export * from "./llava/worker-report.ts";
