/** Shows a question and its answer, in any state of the answer. */
import { useComputed, useSignal } from "@preact/signals";
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import { isOver } from "../../state/chat/answers.ts";
import type { ShownMessage } from "../../state/chat/chat-state.ts";
import type { AnswerState, ImageRef, UserMessage } from "../../services/store/records.ts";
import { EditIcon, LeftIcon, RightIcon, TrashIcon } from "../../ui/icons.tsx";
import { Markdown } from "../../markdown/markdown-view.tsx";
import { lazily } from "../../ui/lazy.tsx";
import type { LightboxProps } from "../attachments/lightbox.tsx";
import { StoredImage } from "../../images/stored-image.tsx";
import { TrueAnswer } from "../scenes/true-answer.tsx";
import { TEXTS } from "../../ui/texts.ts";
import { AnswerActions } from "./answer-actions.tsx";
import { EditForm } from "./edit-form.tsx";
import { Ending } from "./answer-ending.tsx";

const Lightbox = lazily<LightboxProps>(async () => (await import("../attachments/lightbox.tsx")).Lightbox);

interface Props {
  readonly app: App;
  readonly question: ShownMessage;
  readonly answer: ShownMessage | null;
  /** Images of this question and of those before it. */
  readonly images: readonly ImageRef[];
  readonly isLast: boolean;
}

export function Turn({ app, question, answer, images, isLast }: Props): JSX.Element | null {
  const message = question.node.message.value;
  const isEditing = useSignal(false);
  if (message.role !== "user") return null;
  const state = answer?.node.state.value ?? null;
  return (
    <article class="turn" aria-busy={state !== null && !isOver(state)}>
      <div class="question">
        <Images app={app} message={message} />
        {isEditing.value ? (
          <EditForm app={app} message={message} onClose={() => (isEditing.value = false)} />
        ) : (
          <div class="question-line">
            <div class="actions question-actions">
              <Versions app={app} shown={question} />
              <button
                type="button"
                class="edit-question"
                aria-label={TEXTS.turn.edit}
                title={TEXTS.turn.edit}
                onClick={() => (isEditing.value = true)}
              >
                <EditIcon />
              </button>
              <button
                type="button"
                aria-label={TEXTS.turn.remove}
                title={TEXTS.turn.remove}
                onClick={() => void app.deleteMessage(message.id)}
              >
                <TrashIcon />
              </button>
            </div>
            <h2>{message.text}</h2>
          </div>
        )}
      </div>
      {answer && <AnswerView app={app} answer={answer} images={images} isLast={isLast} />}
      {answer && <TrueAnswer images={images} question={message.text} node={answer.node} />}
    </article>
  );
}

interface AnswerProps {
  readonly app: App;
  readonly answer: ShownMessage;
  /** Images of this question and of those before it. */
  readonly images: readonly ImageRef[];
  readonly isLast: boolean;
}

function AnswerView({ app, answer, images, isLast }: AnswerProps): JSX.Element | null {
  const { node } = answer;
  const message = node.message.value;
  const state = node.state.value;
  const isDone = useComputed(() => node.state.value !== null && isOver(node.state.value));
  if (message.role !== "assistant" || state === null) return null;
  return (
    <div class="answer" data-progress={progressOf(state)}>
      <div class="answer-head">
        <h3 class="answerer">{message.model}</h3>
        <Versions app={app} shown={answer} />
      </div>
      <Markdown key={node.id} text={node.text} isDone={isDone} />
      <Ending app={app} node={node} state={state} hasImage={images.length > 0} isLast={isLast} />
      {isDone.value && (
        <AnswerActions {...{ app, node, message, state, isLast }} hasImage={images.length > 0} />
      )}
    </div>
  );
}

/** An answer without text is waiting, whatever its progress is. */
function progressOf({ kind }: AnswerState): string {
  return kind === "sending" || kind === "progress" ? "waiting" : kind;
}

function Versions({ app, shown }: { readonly app: App; readonly shown: ShownMessage }): JSX.Element | null {
  const { node, version, numVersions } = shown;
  if (numVersions < 2) return null;
  return (
    <span class="versions">
      <button
        type="button"
        aria-label={TEXTS.turn.before}
        disabled={version === 0}
        onClick={() => app.chat.showVersion(node.id, -1)}
      >
        <LeftIcon />
      </button>
      <span>{TEXTS.turn.version(version + 1, numVersions)}</span>
      <button
        type="button"
        aria-label={TEXTS.turn.after}
        disabled={version === numVersions - 1}
        onClick={() => app.chat.showVersion(node.id, 1)}
      >
        <RightIcon />
      </button>
    </span>
  );
}

function Images({ app, message }: { readonly app: App; readonly message: UserMessage }): JSX.Element | null {
  const open = useSignal<number | null>(null);
  const { images } = message;
  if (images.length === 0) return null;
  return (
    <div class="images">
      {images.map((image, index) => (
        <button
          key={image.key}
          type="button"
          class="image"
          aria-label={TEXTS.turn.open(image.name)}
          onClick={() => (open.value = index)}
        >
          <StoredImage image={image} urls={app.urls} alt={altOf(image)} />
        </button>
      ))}
      {open.value !== null && (
        <Lightbox app={app} images={images} first={open.value} onClose={() => (open.value = null)} />
      )}
    </div>
  );
}

function altOf({ alt, name }: ImageRef): string {
  return alt ?? TEXTS.turn.yourImage(name);
}
