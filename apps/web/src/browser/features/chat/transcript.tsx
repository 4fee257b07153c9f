/** Shows the conversation, and follows its end unless the user has scrolled up. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import type { ShownMessage } from "../../state/chat/chat-state.ts";
import type { ImageRef } from "../../services/store/records.ts";
import { DownIcon } from "../../ui/icons.tsx";
import { whenIdle } from "../../ui/idle.ts";
import { TEXTS } from "../../ui/texts.ts";
import { Turn } from "./turn.tsx";

/** Distance from the end, CSS pixels, within which the user is taken to follow the answer. */
const FOLLOW_DISTANCE_PX = 48;
/**
 * Turns that are rendered first, more than a window shows; as many earlier ones are added each time the browser is
 * idle.
 */
const FIRST_TURNS = 12;

export function Transcript({ app }: { readonly app: App }): JSX.Element {
  const path = app.chat.path.value;
  const scroller = useRef<HTMLElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const lastTop = useRef(0);
  const isFollowing = useSignal(true);
  const numShown = useSignal(FIRST_TURNS);

  useEffect(() => {
    isFollowing.value = true;
    scrollToEnd(scroller.current);
  }, [path.length]);

  useEffect(() => {
    if (!content.current || !scroller.current) return undefined;
    const observer = new ResizeObserver(() => {
      if (isFollowing.value) scrollToEnd(scroller.current);
    });
    // The answer grows in the content, and the composer shrinks the scroller.
    observer.observe(content.current);
    observer.observe(scroller.current);
    return () => observer.disconnect();
  }, []);

  const turns = turnsOf(path);
  const isCut = numShown.value < turns.length;
  useEffect(() => {
    if (!isCut) return undefined;
    return whenIdle(() => (numShown.value += FIRST_TURNS));
  }, [isCut, numShown.value]);

  return (
    <main
      class="scroll"
      ref={scroller}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        // Only scrolling up is the user's action; growing content also moves the end away.
        if (scrollHeight - scrollTop - clientHeight < FOLLOW_DISTANCE_PX) isFollowing.value = true;
        else if (scrollTop < lastTop.current) isFollowing.value = false;
        lastTop.current = scrollTop;
      }}
    >
      <div class="column turns" ref={content}>
        {turns.slice(-numShown.value).map((turn) => (
          <Turn key={turn.question.node.id} app={app} {...turn} isLast={turn === turns.at(-1)} />
        ))}
      </div>
      {!isFollowing.value && (
        <button type="button" class="to-end" onClick={() => scrollToEnd(scroller.current)}>
          <DownIcon /> {TEXTS.turn.latest}
        </button>
      )}
    </main>
  );
}

interface TurnParts {
  readonly question: ShownMessage;
  readonly answer: ShownMessage | null;
  /** Images of this question and of those before it. */
  readonly images: readonly ImageRef[];
}

/** Each question with the answer that follows it. */
function turnsOf(path: readonly ShownMessage[]): readonly TurnParts[] {
  let images: readonly ImageRef[] = [];
  return path.flatMap((shown, index) => {
    const message = shown.node.message.peek();
    if (message.role !== "user") return [];
    if (message.images.length > 0) images = [...images, ...message.images];
    const next = path[index + 1];
    const isAnswer = next?.node.message.peek().role === "assistant";
    return [{ question: shown, answer: isAnswer ? next : null, images }];
  });
}

function scrollToEnd(scroller: HTMLElement | null): void {
  scroller?.scrollTo({ top: scroller.scrollHeight, behavior: "instant" });
}
