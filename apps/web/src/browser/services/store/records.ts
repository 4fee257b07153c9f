/** What the page remembers of conversations: plain values, as they lie in the browser's database and in exported files. */
import type {
  ChatTimings,
  ChatUsage,
  ErrorCode,
  FinishReason,
  PageProgress,
  ImageMode,
} from "@llava/protocol/browser";

export type { ImageMode };

/** A picture of a message; its file lies in the database under its key. */
export interface PictureRef {
  /** `sha256:…` of the file as it is sent. */
  readonly key: string;
  readonly name: string;
  /** Pixels of the file as it is sent. */
  readonly width: number;
  readonly height: number;
  /** Pixels of the file that was given, upright, where it was larger. */
  readonly original?: { readonly width: number; readonly height: number };
  readonly mode: ImageMode;
  /** What it shows, where somebody said so. */
  readonly alt?: string;
  /** Questions worth asking about it. */
  readonly questions?: readonly string[];
  /** The true answers to them, in the same order, where the page knows them. */
  readonly answers?: readonly string[];
  /** Drawn by this page or brought along by it: of the kind that the demo model was trained on. */
  readonly isDrawing?: boolean;
}

export interface Settings {
  readonly temperature: number;
  readonly top_p: number;
  readonly max_tokens: number;
  /** A random one for each answer when null. */
  readonly seed: number | null;
  readonly stop: readonly string[];
  /** The template's own when null. */
  readonly system: string | null;
  /** Key of a conversation template; the model's own when null. */
  readonly template: string | null;
}

export interface Conversation {
  readonly id: string;
  readonly title: string;
  /** Somebody wrote it: it does not follow the first question any more. */
  readonly hasOwnTitle: boolean;
  readonly createdMs: number;
  readonly updatedMs: number;
  /** The last message of the branch that is shown; null in an empty conversation. */
  readonly leafId: string | null;
  readonly model: string | null;
  readonly settings: Settings;
}

/** A node of a conversation's tree: messages with the same parent are versions of each other. */
export type Message = UserMessage | AssistantMessage;

interface MessageBase {
  readonly id: string;
  readonly conversationId: string;
  /** Null for the first. */
  readonly parentId: string | null;
  readonly createdMs: number;
  readonly text: string;
}

export interface UserMessage extends MessageBase {
  readonly role: "user";
  readonly pictures: readonly PictureRef[];
}

export interface AssistantMessage extends MessageBase {
  readonly role: "assistant";
  readonly model: string;
  readonly settings: Settings;
  readonly state: AnswerState;
  /** What it said when it was last asked to go on: what comes from the server stands behind it. */
  readonly begun?: string;
  /** Its name on the server while it is under way. */
  readonly stream: string | null;
  /** How often another worker had to go on with it. */
  readonly migrations: number;
  readonly vote: "up" | "down" | null;
  readonly isFlagged: boolean;
}

/** `draft → sending → progress → streaming → finished | stopped | failed`; from each of the middle ones to the last two. */
export type AnswerState =
  | { readonly kind: "sending" }
  | { readonly kind: "progress"; readonly progress: PageProgress }
  | { readonly kind: "streaming" }
  | {
      readonly kind: "finished";
      readonly reason: FinishReason;
      readonly usage: ChatUsage | null;
      readonly timings: ChatTimings | null;
    }
  | { readonly kind: "stopped" }
  | { readonly kind: "failed"; readonly failure: Failure };

/** `offline` and `storage_full` are the page's own; everything else is the server's. */
export interface Failure {
  readonly code: ErrorCode | "offline" | "storage_full";
  readonly message: string;
  readonly isRetryable: boolean;
  readonly retryAfterMs: number | null;
}
