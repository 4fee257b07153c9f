/**
 * Exports the part of this package that a page loads (`@llava/protocol/browser`): without schemas, whose library alone would
 * be as large as the whole page.
 */
export type * from "./cluster/progress.ts";
export * from "./codec/errors.ts";
export type * from "./openai/chat-messages.ts";
export type * from "./openai/chat.ts";
export * from "./cluster/cluster-view.ts";
export type * from "./openai/completion.ts";
export type * from "./openai/models.ts";
export type * from "./extensions/occlusion-wire.ts";
export * from "./page/page-wire.ts";
export * from "./codec/image-key.ts";
export * from "./codec/sse.ts";
export type { WorkerView } from "./cluster/worker-list.ts";
