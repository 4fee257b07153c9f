/** An answer's words, as they come and when they are whole. */
import { effect } from "@preact/signals";
import type { ReadonlySignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { JSX } from "preact";

import { MarkdownStream } from "./markdown-stream.ts";
import { paced } from "./pace.ts";

interface Props {
  readonly text: ReadonlySignal<string>;
  readonly isDone: ReadonlySignal<boolean>;
}

export function Markdown({ text, isDone }: Props): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  // Before the browser paints: an answer that is there is never shown empty.
  useLayoutEffect(() => {
    if (host.current === null) return undefined;
    const stream = new MarkdownStream(host.current);
    const growing = paced(() => stream.update(text.peek()));
    const end = effect(() => {
      // Read first, for both are listened to.
      const words = text.value;
      if (!isDone.value) return growing.ask();
      growing.cancel();
      stream.finish(words);
    });
    return () => {
      growing.cancel();
      end();
    };
  }, [text, isDone]);
  return <div class="words" ref={host} />;
}
