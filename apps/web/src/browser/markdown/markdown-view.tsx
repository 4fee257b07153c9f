/** Shows the text of an answer as Markdown while it grows and when it is whole. */
import { effect, signal } from "@preact/signals";
import type { ReadonlySignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { JSX } from "preact";

import type { MarkdownStream } from "./markdown-stream.ts";
import { renderThrottle } from "./render-throttle.ts";

/** The renderer, null until it is loaded: it is a third of the page's script and is not needed to ask. */
const reader = signal<typeof MarkdownStream | null>(null);

/** Loads the renderer. Where it cannot be loaded, text is shown as it is written, and the next answer tries again. */
export async function loadMarkdown(): Promise<void> {
  if (reader.peek() !== null) return;
  const part = await import("./markdown-stream.ts").catch(() => null);
  if (part !== null) reader.value = part.MarkdownStream;
}

interface Props {
  readonly text: ReadonlySignal<string>;
  readonly isDone: ReadonlySignal<boolean>;
}

export function Markdown({ text, isDone }: Props): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  // Runs before the browser paints, so that an answer that exists is never shown empty.
  useLayoutEffect(() => {
    if (host.current === null) return undefined;
    const Reader = reader.value;
    if (Reader === null) {
      void loadMarkdown();
      return showPlain(host.current, text);
    }
    const stream = new Reader(host.current);
    const growing = renderThrottle(() => stream.update(text.peek()));
    const end = effect(() => {
      // Both signals are read before the branch, so that the effect subscribes to both.
      const words = text.value;
      if (!isDone.value) return growing.ask();
      growing.cancel();
      stream.finish(words);
    });
    return () => {
      growing.cancel();
      end();
    };
  }, [text, isDone, reader.value]);
  return <div class="words" ref={host} />;
}

function showPlain(host: HTMLElement, text: ReadonlySignal<string>): () => void {
  host.classList.add("plain");
  const end = effect(() => void (host.textContent = text.value));
  return () => {
    end();
    host.classList.remove("plain");
  };
}
