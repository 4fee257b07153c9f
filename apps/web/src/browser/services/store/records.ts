/** Describes the records of conversations: plain values, as they are in the browser's database and in exported files. */
import type {
  ChatTimings,
  ChatUsage,
  ErrorCode,
  FinishReason,
  PageProgress,
  ImageMode,
} from "@llava/protocol/browser";

export type { ImageMode };

/** An image of a message, whose file is in the database under its key. */
export interface ImageRef {
  /** The hash of the file as it is sent, `sha256:…`. */
  readonly key: string;
  readonly name: string;
  /** Width of the file as it is sent, pixels. */
  readonly width: number;
  /** Height of the file as it is sent, pixels. */
  readonly height: number;
  /** Size in pixels of the file that the user gave, after rotation by its EXIF orientation; absent where nothing was shrunk. */
  readonly original?: { readonly width: number; readonly height: number };
  readonly mode: ImageMode;
  /** Description of what the image shows; absent for the user's own files. */
  readonly alt?: string;
  /** Suggested questions about the image. */
  readonly questions?: readonly string[];
  /** True answers to `questions`, in the same order; absent where the page does not know them. */
  readonly answers?: readonly string[];
  /** Whether the page drew or delivered the image: such images are of the kind that the demo model was trained on. */
  readonly isDrawing?: boolean;
}

export interface Settings {
  readonly temperature: number;
  readonly top_p: number;
  readonly max_tokens: number;
  /** Seed of the sampler; null draws another one for each answer. */
  readonly seed: number | null;
  readonly stop: readonly string[];
  /** System prompt; null takes the one of the conversation template. */
  readonly system: string | null;
  /** Key of a conversation template; null takes the one that the model was trained with. */
  readonly template: string | null;
}

export interface Conversation {
  readonly id: string;
  readonly title: string;
  /** Whether the user wrote the title, instead of the page taking it from the first question. */
  readonly hasOwnTitle: boolean;
  readonly createdMs: number;
  readonly updatedMs: number;
  /** Id of the last message of the branch that is shown; null in an empty conversation. */
  readonly leafId: string | null;
  readonly model: string | null;
  readonly settings: Settings;
}

/** A node of a conversation's tree; messages with the same parent are versions of each other. */
export type Message = UserMessage | AssistantMessage;

interface MessageBase {
  readonly id: string;
  readonly conversationId: string;
  /** Id of the message before this one; null for the first. */
  readonly parentId: string | null;
  readonly createdMs: number;
  readonly text: string;
}

export interface UserMessage extends MessageBase {
  readonly role: "user";
  readonly images: readonly ImageRef[];
}

export interface AssistantMessage extends MessageBase {
  readonly role: "assistant";
  readonly model: string;
  readonly settings: Settings;
  readonly state: AnswerState;
  /** The text that the answer had when it was last continued; the text of the server's stream follows it. */
  readonly begun?: string;
  /** Id of the server's stream of this answer while it is generated; null before and afterwards. */
  readonly stream: string | null;
  /** Number of times that another worker had to continue the answer. */
  readonly migrations: number;
  readonly vote: "up" | "down" | null;
  readonly isFlagged: boolean;
}

/** `sending → progress → streaming → finished | stopped | failed`; each of the first three may be followed by `stopped` or `failed`. */
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

/** Why there is no answer, or only a part of one; the codes `offline` and `storage_full` come from the page, all others from the server. */
export interface Failure {
  readonly code: ErrorCode | "offline" | "storage_full";
  readonly message: string;
  readonly isRetryable: boolean;
  readonly retryAfterMs: number | null;
}
