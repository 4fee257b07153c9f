/** An answer's words, as they come and when they are whole. */
import { effect } from "@preact/signals";
import type { ReadonlySignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { JSX } from "preact";

import { MarkdownStream } from "./markdown-stream.ts";

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
    return effect(() => {
      if (isDone.value) stream.finish(text.value);
      else stream.update(text.value);
    });
  }, [text, isDone]);
  return <div class="words" ref={host} />;
}
