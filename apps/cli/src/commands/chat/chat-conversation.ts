/** Keeps the messages and images of a conversation, because the engine keeps nothing between questions. */
import type { Engine, EngineEvent, GenerateRequest, Message } from "@llava/engine";

export type AnswerSettings = Pick<GenerateRequest, "temperature" | "topP" | "topK" | "seed" | "maxTokens">;

const IMAGE = "<image>";

export class Conversation {
  readonly #engine: Pick<Engine, "generate">;
  readonly #settings: AnswerSettings;
  #messages: Message[] = [];
  #images: Uint8Array[] = [];
  /** Images that the next question will show. */
  #attached: Uint8Array[] = [];

  constructor(engine: Pick<Engine, "generate">, settings: AnswerSettings) {
    this.#engine = engine;
    this.#settings = settings;
  }

  attach(image: Uint8Array): void {
    this.#attached.push(image);
  }

  reset(): void {
    this.#messages = [];
    this.#images = [];
    this.#attached = [];
  }

  /**
   * The engine's events for the next question. The turn becomes part of the conversation when it is answered, also
   * in part (`signal`); one that fails leaves the conversation as it was and the images attached.
   */
  async *ask(question: string, signal: AbortSignal): AsyncGenerator<EngineEvent, void, undefined> {
    const messages: Message[] = [...this.#messages, { role: "user", text: this.#withMarkers(question) }];
    const images = [...this.#images, ...this.#attached];
    let answer = "";
    for await (const event of this.#engine.generate(
      { ...this.#settings, prompt: messages, images: images },
      signal,
    )) {
      if (event.type === "text-delta") answer += event.text;
      // An empty turn is left out: in a template it would look like one that is still to be written.
      const hasText = answer.trim() !== "";
      const isOver = event.type === "finished" || (event.type === "error" && signal.aborted);
      if (hasText && isOver) {
        this.#messages = [...messages, { role: "assistant", text: answer.trim() }];
        this.#images = images;
        this.#attached = [];
      }
      yield event;
    }
  }

  /** Images go before the question, each on its own line; a question that places them itself is left alone. */
  #withMarkers(question: string): string {
    if (question.includes(IMAGE)) return question;
    return `${IMAGE}\n`.repeat(this.#attached.length) + question;
  }
}
