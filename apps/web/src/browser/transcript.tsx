/** The conversation so far; follows the end while one reads there, and leaves those alone who scrolled away. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { JSX } from "preact";

import { DownIcon } from "./icons.tsx";
import type { PageState } from "./page-state.ts";
import { TurnView } from "./turn.tsx";

/** Whoever is this near to the end reads along. */
const FOLLOW_DISTANCE_PX = 48;

export function Transcript({ state }: { readonly state: PageState }): JSX.Element {
  const turns = state.conversation.turns.value;
  const scroller = useRef<HTMLElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const lastTop = useRef(0);
  const isFollowing = useSignal(true);

  useEffect(() => {
    isFollowing.value = true;
    scrollToEnd(scroller.current);
  }, [turns.length]);

  useEffect(() => {
    if (!content.current || !scroller.current) return;
    const observer = new ResizeObserver(() => {
      if (isFollowing.value) scrollToEnd(scroller.current);
    });
    // The answer grows inside, the composer from below.
    observer.observe(content.current);
    observer.observe(scroller.current);
    return () => observer.disconnect();
  }, []);

  return (
    <main
      class="scroll"
      ref={scroller}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        // Only a move upwards is somebody's wish; the end may also run away by itself.
        if (scrollHeight - scrollTop - clientHeight < FOLLOW_DISTANCE_PX) isFollowing.value = true;
        else if (scrollTop < lastTop.current) isFollowing.value = false;
        lastTop.current = scrollTop;
      }}
    >
      <div class="column turns" ref={content}>
        {turns.map((turn, index) => (
          <TurnView key={turn.id} turn={turn} state={state} isLast={index === turns.length - 1} />
        ))}
      </div>
      {!isFollowing.value && (
        <button type="button" class="to-end" onClick={() => scrollToEnd(scroller.current)}>
          <DownIcon /> Latest
        </button>
      )}
    </main>
  );
}

function scrollToEnd(scroller: HTMLElement | null): void {
  scroller?.scrollTo({ top: scroller.scrollHeight, behavior: "instant" });
}
