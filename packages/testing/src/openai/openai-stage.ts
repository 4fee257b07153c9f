/** The servers that OpenAI's own client is tried on, and the questions that it asks them. */
import type { BackendCapabilities } from "@llava/backend";
import OpenAI, { type ClientOptions } from "openai";
import { beforeAll, expect } from "vitest";

export interface OpenAiStage {
  readonly url: string;
  /** Its answers are ASCII letters, one a token, and end only where they are told to. */
  readonly model: string;
  readonly tokensPerImage: number;
  /** Data URL of an image. */
  readonly image: string;
  /** Number of requests that are computed. */
  readonly running: () => number;
  /** A server of the same model with one place and no queue; `occupy` takes the place until it is disposed. */
  readonly narrow: { readonly url: string; readonly occupy: () => Promise<Disposable> };
  /** A server of the same model whose answers under way, and all later ones, `abort` ends in an error. */
  readonly mortal: { readonly url: string; readonly abort: () => void };
}

export type ChatParams = OpenAI.Chat.ChatCompletionCreateParamsNonStreaming;
type ChatParts = OpenAI.Chat.ChatCompletionContentPart[];

/** Longer than any test waits; the context holds some more. */
export const ENDLESS = 900;
export const TEXT = { type: "text", text: "What color is it?" } as const;

/** Without what the server happened to remember. */
export function computed(usage: OpenAI.CompletionUsage | undefined): object {
  const { prompt_tokens, completion_tokens, total_tokens } = usage ?? {};
  return { prompt_tokens, completion_tokens, total_tokens };
}

/** The stage once its servers run, and the client that does not try again. */
export class Visit {
  readonly #lacks: ReadonlySet<keyof BackendCapabilities>;
  #stage: OpenAiStage | undefined;

  /** @param lacks capabilities of the backend that are false */
  constructor(startStage: () => Promise<OpenAiStage>, lacks: readonly (keyof BackendCapabilities)[]) {
    this.#lacks = new Set(lacks);
    beforeAll(async () => {
      this.#stage = await startStage();
    });
  }

  get stage(): OpenAiStage {
    if (!this.#stage) throw new Error("The servers are not started yet.");
    return this.#stage;
  }

  /** Whether the backend lacks one of the capabilities that a test needs, so that the test is skipped. */
  lacks(...needed: readonly (keyof BackendCapabilities)[]): boolean {
    return needed.some((capability) => this.#lacks.has(capability));
  }

  get client(): OpenAI {
    return clientOf(this.stage);
  }

  image(detail: "auto" | "low" | "high" = "auto"): OpenAI.Chat.ChatCompletionContentPartImage {
    return { type: "image_url", image_url: { url: this.stage.image, detail } };
  }

  asked(...content: ChatParts): ChatParams {
    const messages = [{ role: "user", content }] satisfies ChatParams["messages"];
    return { model: this.stage.model, messages, temperature: 0, max_completion_tokens: 8 };
  }

  endless(): OpenAI.Chat.ChatCompletionCreateParamsStreaming {
    return { ...this.asked(TEXT), max_completion_tokens: ENDLESS, stream: true };
  }

  /** Nothing is computed any more. */
  async idle(): Promise<void> {
    await expect.poll(() => this.stage.running(), { timeout: 10_000 }).toBe(0);
  }
}

export function clientOf(server: { readonly url: string }, options: ClientOptions = {}): OpenAI {
  return new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0, ...options });
}

export function streamed(params: ChatParams): OpenAI.Chat.ChatCompletionCreateParamsStreaming {
  return { ...params, stream: true };
}
