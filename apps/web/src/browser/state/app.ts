/** Holds the whole state of the page and the actions on it; the views show the state and call the actions. */
import type { PageCluster, PageEvent } from "@llava/protocol/browser";
import { batch, computed, effect, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

import { Answers } from "./chat/answers.ts";
import { Chat } from "./chat/chat-state.ts";
import { Conversations } from "./chat/conversations.ts";
import { Draft } from "./chat/draft.ts";
import { AnswerPersistence } from "./chat/answer-persistence.ts";
import type { MessageNode } from "./chat/message-node.ts";
import { ScreenReaderAnnouncer } from "./screen-reader-announcer.ts";
import type { ImageMode, ImageRef } from "../services/store/records.ts";
import { whenIdle } from "../ui/idle.ts";
import { loadMarkdown } from "../markdown/markdown-view.tsx";
import { Models } from "./models/available-models.ts";
import type { CropRect } from "../images/worker/crop-rect.ts";
import { cropImage } from "../images/read-image.ts";
import { ImageUrls } from "../images/image-urls.ts";
import { Router } from "./router.ts";
import { loadSampleImage, loadSamples } from "./samples.ts";
import type { Sample } from "./samples.ts";
import { Store } from "../services/store/store.ts";
import { TEXTS } from "../ui/texts.ts";
import { EventStreamClient } from "../services/wire/event-stream-client.ts";
import { Uploads } from "../services/wire/uploads.ts";

/** A message about the last action, with a way to undo it. */
export interface Toast {
  readonly text: string;
  readonly undo: () => void;
}

export interface ClusterUpdate {
  readonly cluster: PageCluster | null;
}

const TOAST_MS = 8_000;

export class App {
  readonly store = new Store();
  readonly uploads = new Uploads(this.store);
  readonly answers = new Answers(this.uploads);
  readonly persistence = new AnswerPersistence(this.store);
  readonly conversations = new Conversations(this.store);
  readonly chat = new Chat(this);
  readonly draft = new Draft(this.store);
  readonly models = new Models();
  readonly router = new Router();
  readonly urls = new ImageUrls(this.store);
  readonly events = new EventStreamClient((event) => this.#take(event));
  /**
   * The controller's last state while the cluster page is open; its `cluster` is null where the controller does not
   * show it to this page.
   */
  readonly cluster: Signal<ClusterUpdate | null> = signal(null);
  readonly samples: Signal<readonly Sample[] | null> = signal(null);
  /** The current activity, for screen readers. */
  readonly status: Signal<string> = signal("");
  readonly announcer: ScreenReaderAnnouncer = new ScreenReaderAnnouncer();
  readonly toast: Signal<Toast | null> = signal(null);
  readonly canAsk: ReadonlySignal<boolean> = computed(
    () => this.models.selected.value !== null && this.chat.running.value === null,
  );
  /** Suggested questions about the last image that were not asked yet. */
  readonly suggestions: ReadonlySignal<readonly string[]> = computed(() => {
    const asked = this.chat.path.value.flatMap(({ node }) => {
      const message = node.message.value;
      return message.role === "user" ? [message] : [];
    });
    const images = [...asked.flatMap((message) => message.images), ...this.draft.images.value];
    const texts = new Set(asked.map(({ text }) => text));
    return (images.at(-1)?.questions ?? []).filter((question) => !texts.has(question));
  });
  #hasAskedForSamples = false;
  /** A sample named by the address, and the mode in which the model shall see it. */
  #addressedImage: { readonly name: string | null; readonly mode: ImageMode | null } | null = null;
  #isSending = false;
  #toastEnd: { readonly timer: ReturnType<typeof setTimeout>; readonly finish: () => void } | null = null;

  /** Whether the card of the chosen model states a capability. */
  can(capability: string): boolean {
    return this.models.selected.value?.card.capabilities?.[capability] === true;
  }

  async start(): Promise<void> {
    this.persistence.onEnd = (node) => this.#announceEnd(node);
    // The draft is opened first, so that text which was typed before is there immediately.
    const route = this.router.route.peek();
    this.draft.open(route.kind === "chat" ? route.id : route.kind === "compare" ? "compare" : "");
    this.store.onChange(() => void this.#reload());
    await this.conversations.load();
    // Must precede the first event, which lists the answers that an earlier visit asked for.
    await this.persistence.resume(this.answers);
    effect(() => void this.#show(this.router.route.value));
    effect(() => {
      const running = this.chat.running.value;
      if (running !== null) this.announcer.grow(running.id, running.text.value);
    });
    effect(() => {
      document.title = this.chat.conversation.value?.title || TEXTS.shell.name;
    });
    effect(() => {
      const problem = this.store.problem.value;
      if (problem !== null) this.status.value = problem;
    });
    // The browser asks the user before it discards records that are in memory only.
    window.addEventListener("beforeunload", (event) => {
      if (this.store.hasUnwritten) event.preventDefault();
    });
    this.events.start();
    this.#readAddress();
  }

  /** Sends the draft with its images; does nothing when it cannot be sent. */
  async sendDraft(): Promise<void> {
    if (this.draft.text.value.trim() === "") return;
    await this.#ask(() => this.draft.give());
  }

  /** Sends a question with the attached images and leaves the text of the draft. */
  async ask(text: string): Promise<void> {
    await this.#ask(() => {
      const { images } = this.draft;
      const given = { text, images: images.peek() };
      this.draft.set(this.draft.text.peek(), []);
      return given;
    });
  }

  async takeSample(sample: Sample): Promise<void> {
    const taken = this.draft.images.value.find(({ name, isDrawing }) => isDrawing && name === sample.title);
    if (taken) this.draft.remove(taken.key);
    else await this.draft.take(() => loadSampleImage(sample));
  }

  /** Replaces an attached image by a part of it. Null when that failed. */
  async cropImage(image: ImageRef, rect: CropRect): Promise<ImageRef | null> {
    const blob = await this.store.image(image.key);
    if (blob === null) return null;
    const cropped = await this.draft.exchange(image.key, () => cropImage(image, blob, rect));
    if (cropped === null) return null;
    const undo = (): void => void this.draft.exchange(cropped.key, async () => ({ ref: image, blob }));
    this.#offerUndo(TEXTS.images.crop.done, undo, () => undefined);
    return cropped;
  }

  async regenerate(id: string): Promise<void> {
    const model = this.models.selected.peek();
    if (model === null) return;
    this.status.value = TEXTS.status.onItsWay;
    await this.chat.regenerate(id, model.card.id);
  }

  async continueAnswer(id: string): Promise<void> {
    this.status.value = TEXTS.status.onItsWay;
    await this.chat.continueAnswer(id);
  }

  newChat(): void {
    this.router.go({ kind: "new" });
    this.status.value = TEXTS.status.newConversation;
  }

  async deleteMessage(id: string): Promise<void> {
    const undo = await this.chat.remove(id);
    this.#offerUndo(
      TEXTS.shell.messageDeleted,
      () => void undo(),
      () => undefined,
    );
  }

  deleteConversation(id: string): void {
    const title = this.conversations.find(id)?.title ?? "";
    const isOpen = this.chat.conversation.peek()?.id === id;
    const { forget, undo } = this.conversations.hide(id);
    if (isOpen) this.router.go({ kind: "new" });
    this.#offerUndo(TEXTS.shell.deleted(title || TEXTS.shell.untitled), undo, () => void forget());
  }

  #offerUndo(text: string, undo: () => void, finish: () => void): void {
    this.#endToast();
    const timer = setTimeout(() => this.#endToast(), TOAST_MS);
    this.#toastEnd = { timer, finish };
    this.toast.value = {
      text,
      undo: () => {
        clearTimeout(timer);
        this.#toastEnd = null;
        this.toast.value = null;
        undo();
      },
    };
  }

  /** Ends the time in which the action can be undone. */
  #endToast(): void {
    if (this.#toastEnd === null) return;
    clearTimeout(this.#toastEnd.timer);
    this.#toastEnd.finish();
    this.#toastEnd = null;
    this.toast.value = null;
  }

  async #ask(give: () => ReturnType<Draft["give"]>): Promise<void> {
    if (this.#isSending || !this.canAsk.value) return;
    this.#isSending = true;
    // A user who sends while an image is still being read means that image too.
    await this.draft.settled();
    this.#isSending = false;
    const model = this.models.selected.value;
    if (model === null || !this.canAsk.value) return;
    const { text, images } = give();
    this.status.value = TEXTS.status.onItsWay;
    const isNew = this.chat.conversation.peek() === null;
    const asking = this.chat.ask(model.card.id, text, images);
    const id = this.chat.conversation.peek()?.id;
    if (isNew && id !== undefined) {
      this.draft.moveTo(id);
      this.router.become({ kind: "chat", id });
    }
    await asking;
  }

  #take(event: PageEvent): void {
    batch(() => {
      if (event.type === "models") this.models.take(event);
      else if (event.type === "cluster") this.cluster.value = { cluster: event.cluster };
      else this.answers.take(event);
    });
    if (event.type === "models") this.#loadSamples();
  }

  /** Loads the samples once, after the first list of models: loading images must not delay the first question. */
  #loadSamples(): void {
    if (this.#hasAskedForSamples) return;
    this.#hasAskedForSamples = true;
    performance.mark("ready");
    whenIdle(() => void loadMarkdown());
    void this.#showSamples();
  }

  async #showSamples(): Promise<void> {
    const samples = await loadSamples();
    this.samples.value = samples;
    const { name, mode } = this.#addressedImage ?? { name: null, mode: null };
    const sample = samples.find(({ file }) => file.replace(/\.\w+$/, "") === name);
    if (sample === undefined) return;
    await this.takeSample(sample);
    const taken = this.draft.images.peek().at(-1);
    if (taken !== undefined && mode !== null) this.draft.setMode(taken.key, mode);
  }

  async #show(route: Router["route"]["value"]): Promise<void> {
    this.events.watchCluster(route.kind === "cluster");
    if (route.kind === "cluster") return;
    if (route.kind === "compare") return this.draft.open("compare");
    const id = route.kind === "chat" ? route.id : null;
    // The renderer is loaded first, so that the answers appear in their final form and nothing moves.
    if (id !== null) await loadMarkdown();
    if (this.router.route.peek() !== route) return;
    if (id !== (this.chat.conversation.peek()?.id ?? null) && !(await this.chat.open(id)))
      return this.router.become({ kind: "new" });
    this.draft.open(id ?? "");
  }

  async #reload(): Promise<void> {
    await this.conversations.load();
    await this.chat.reload();
  }

  #announceEnd(node: MessageNode): void {
    if (!this.chat.path.peek().some((shown) => shown.node === node)) return;
    const state = node.state.peek();
    if (state?.kind === "stopped") this.status.value = TEXTS.status.stopped;
    if (state?.kind === "failed") this.status.value = state.failure.message;
    if (state?.kind !== "finished") return;
    this.status.value = TEXTS.status.complete;
    this.announcer.finish(node.id, node.text.peek());
  }

  /** `?q=` fills the field and never sends: a link must not ask in the user's name. */
  #readAddress(): void {
    const asked = new URLSearchParams(location.search);
    const question = asked.get("q");
    const model = asked.get("model");
    const temperature = Number(asked.get("temperature") ?? Number.NaN);
    if (question !== null) this.draft.type(question);
    if (model !== null) this.models.choose(model);
    this.#addressedImage = { name: asked.get("image"), mode: modeIn(asked.get("mode")) };
    if (temperature >= 0 && temperature <= 1)
      this.chat.setSettings({ ...this.chat.settings.peek(), temperature });
    if (location.search !== "") history.replaceState(null, "", location.pathname);
  }
}

function modeIn(word: string | null): ImageMode | null {
  return (["default", "pad", "crop", "resize"] as const).find((mode) => mode === word) ?? null;
}
