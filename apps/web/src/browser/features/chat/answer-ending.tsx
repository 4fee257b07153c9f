/**
 * Shows under an answer's text what is in progress, how the answer ended, or why it failed and what the user can do.
 */
import type { PageProgress } from "@llava/protocol/browser";
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import type { MessageNode } from "../../state/chat/message-node.ts";
import type { AnswerState, Failure } from "../../services/store/records.ts";
import { RetryIcon, WarningIcon } from "../../ui/icons.tsx";
import { TEXTS } from "../../ui/texts.ts";
import { timingsLine } from "./timings-line.ts";
import { AutoRetry } from "./auto-retry.tsx";

interface Props {
  readonly app: App;
  readonly node: MessageNode;
  readonly state: AnswerState;
  readonly hasImage: boolean;
  readonly isLast: boolean;
}

export function Ending({ app, node, state, hasImage, isLast }: Props): JSX.Element | null {
  switch (state.kind) {
    case "sending":
      return <Waiting text={TEXTS.progress.sending} />;
    case "progress":
      return <Waiting text={progressText(state.progress, hasImage)} />;
    case "streaming":
      return null;
    case "finished": {
      const { migrations } = { migrations: 0, ...node.message.value };
      const moved = migrations > 0 ? ` · ${TEXTS.turn.moved(migrations)}` : "";
      return <p class="timings">{timingsLine(state) + moved}</p>;
    }
    case "stopped":
      return (
        <p class="stopped">
          {TEXTS.turn.stopped} {isLast && <Again app={app} node={node} label={TEXTS.turn.askAgain} />}
        </p>
      );
    case "failed":
      return <Failed app={app} node={node} failure={state.failure} isLast={isLast} />;
  }
}

function progressText(progress: PageProgress, hasImage: boolean): string {
  switch (progress.kind) {
    case "sent":
      return hasImage ? TEXTS.progress.image : TEXTS.progress.thinking;
    case "queued":
      return TEXTS.progress.queued(progress.position, progress.length);
    case "reading":
      return TEXTS.progress.reading(Math.round((100 * progress.done) / Math.max(1, progress.total)));
  }
}

function Waiting({ text }: { readonly text: string }): JSX.Element {
  return (
    <p class="waiting">
      <span class="ember" aria-hidden="true" />
      {text}
    </p>
  );
}

interface FailedProps {
  readonly app: App;
  readonly node: MessageNode;
  readonly failure: Failure;
  readonly isLast: boolean;
}

function Failed({ app, node, failure, isLast }: FailedProps): JSX.Element {
  const details = `${failure.code}: ${failure.message}`;
  return (
    <div class="failure">
      <WarningIcon />
      <p>{failure.message}</p>
      <div class="failure-actions">
        {isLast && <Again app={app} node={node} label={TEXTS.turn.tryAgain} />}
        {isLast && <AutoRetry app={app} node={node} failure={failure} />}
        {isLast && failure.code === "context_length_exceeded" && (
          <button type="button" class="text-button" onClick={() => app.newChat()}>
            {TEXTS.shell.newChat}
          </button>
        )}
        <button
          type="button"
          class="text-button soft"
          onClick={() => void navigator.clipboard.writeText(details)}
        >
          {TEXTS.turn.details}
        </button>
      </div>
    </div>
  );
}

function Again({ app, node, label }: Pick<Props, "app" | "node"> & { readonly label: string }): JSX.Element {
  return (
    <button
      type="button"
      class="text-button"
      disabled={!app.canAsk.value}
      onClick={() => void app.regenerate(node.id)}
    >
      <RetryIcon /> {label}
    </button>
  );
}
