/** Asks again automatically after the pause that the server demands, and counts the seconds down. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";

import type { App } from "../../state/app.ts";
import type { MessageNode } from "../../state/chat/message-node.ts";
import type { Failure } from "../../services/store/records.ts";
import { TEXTS } from "../../ui/texts.ts";

interface Props {
  readonly app: App;
  readonly node: MessageNode;
  readonly failure: Failure;
}

/** Codes of failures that pass by themselves. */
const PASSING: readonly Failure["code"][] = ["overloaded", "queue_timeout", "rate_limited", "loading"];
const MAX_TRIES = 5;
/** Age in milliseconds up to which an answer is retried: after a later visit the user no longer waits for it. */
const FRESH_MS = 60_000;
/** Numbers of retries by the ids of the questions. */
const tries = new Map<string, number>();

export function AutoRetry({ app, node, failure }: Props): JSX.Element | null {
  const seconds = useSignal(Math.max(1, Math.ceil((failure.retryAfterMs ?? 0) / 1_000)));
  const isOn = useSignal(mayRetry(node, failure));
  useEffect(() => {
    if (!isOn.value) return undefined;
    const timer = setInterval(() => {
      seconds.value -= 1;
      if (seconds.value > 0 || !app.canAsk.peek()) return;
      isOn.value = false;
      tries.set(node.parentId ?? "", (tries.get(node.parentId ?? "") ?? 0) + 1);
      void app.regenerate(node.id);
    }, 1_000);
    return () => clearInterval(timer);
  }, [isOn.value]);
  if (!isOn.value) return null;
  return (
    <span class="auto-retry">
      {TEXTS.turn.asksAgain(Math.max(0, seconds.value))}{" "}
      <button type="button" class="text-button soft" onClick={() => (isOn.value = false)}>
        {TEXTS.turn.dontAskAgain}
      </button>
    </span>
  );
}

function mayRetry({ parentId, createdMs }: MessageNode, { code, retryAfterMs }: Failure): boolean {
  const isFresh = Date.now() - createdMs < FRESH_MS;
  const numTries = tries.get(parentId ?? "") ?? 0;
  return isFresh && retryAfterMs !== null && PASSING.includes(code) && numTries < MAX_TRIES;
}
