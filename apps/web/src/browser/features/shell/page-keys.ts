/** Handles the keys that work everywhere on the page, and leaves the browser's own keys alone. */
import type { App } from "../../state/app.ts";

export interface KeyTargets {
  readonly openList: () => void;
  readonly openHelp: () => void;
}

/** Returns a function that removes the listener. */
export function listenForKeys(app: App, { openList, openHelp }: KeyTargets): () => void {
  const onKeyDown = (event: KeyboardEvent): void => {
    const { altKey, ctrlKey, metaKey, shiftKey } = event;
    const isCommand = (ctrlKey || metaKey) && !altKey && !shiftKey;
    const isAlt = altKey && !ctrlKey && !metaKey && !shiftKey;
    const act = actionOf();
    if (act === null) return;
    event.preventDefault();
    act();

    // Keys with Alt are recognized by their position, because Alt changes the character.
    function actionOf(): (() => void) | null {
      if (isCommand && event.key === "k") return search;
      if (isCommand && event.key === "/") return openHelp;
      if (isAlt && event.code === "KeyN") return newChat;
      if (isAlt && event.code === "KeyC") return copyLast;
      if (isAlt && event.code === "KeyR") return answerAgain;
      if (
        event.key === "Escape" &&
        app.chat.running.peek() !== null &&
        !document.querySelector("dialog[open]")
      )
        return () => app.chat.stop();
      return null;
    }
  };
  const search = (): void => {
    openList();
    requestAnimationFrame(() => document.getElementById("search")?.focus());
  };
  const newChat = (): void => {
    app.newChat();
    document.getElementById("question")?.focus();
  };
  const lastAnswer = () =>
    app.chat.path.peek().findLast(({ node }) => node.message.peek().role === "assistant")?.node;
  const copyLast = (): void => {
    const text = lastAnswer()?.text.peek();
    if (text) void navigator.clipboard.writeText(text);
  };
  const answerAgain = (): void => {
    const id = lastAnswer()?.id;
    if (id !== undefined) void app.regenerate(id);
  };
  window.addEventListener("keydown", onKeyDown);
  return () => window.removeEventListener("keydown", onKeyDown);
}
