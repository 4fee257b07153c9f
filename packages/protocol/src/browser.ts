/**
 * The part of this package that a page loads: without schemas, whose library alone would weigh as much as the whole page.
 * `@llava/protocol/browser`.
 */
export * from "./errors.ts";
export type * from "./chat.ts";
export type * from "./completion.ts";
export type * from "./models.ts";
export * from "./page-wire.ts";
export * from "./picture-key.ts";
export * from "./sse.ts";
