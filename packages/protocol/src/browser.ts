/**
 * The part of this package that a page loads: without schemas, whose library alone would weigh as much as the whole page.
 * `@llava/protocol/browser`.
 */
export type * from "./answer-progress.ts";
export * from "./errors.ts";
export type * from "./chat-messages.ts";
export type * from "./chat.ts";
export * from "./cluster.ts";
export type * from "./completion.ts";
export type * from "./models.ts";
export type * from "./occlusion.ts";
export * from "./page-wire.ts";
export * from "./picture-key.ts";
export * from "./sse.ts";
export type { WorkerView } from "./worker-list.ts";
