/**
 * Shows the dialog that explains an answer: its words to choose from, and the map of the chosen word over the image.
 */
import { useComputed } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";

import type { App } from "../../state/app.ts";
import { Sheet } from "../../ui/dialog.tsx";
import { StoredImage } from "../../images/stored-image.tsx";
import "../../styles/heat-map.css";
import { TEXTS } from "../../ui/texts.ts";
import { HeatMapState } from "./heat-map-state.ts";
import { HeatMapView } from "./heat-map-view.tsx";
import { piecesOf } from "./answer-words.ts";

export interface HeatMapProps {
  readonly app: App;
  /** Id of the answer's message. */
  readonly messageId: string;
  readonly onClose: () => void;
}

export function HeatMap({ app, messageId, onClose }: HeatMapProps): JSX.Element {
  const heat = useMemo(() => new HeatMapState(app, app.chat.messagesTo(messageId)), [messageId]);
  useEffect(() => () => heat.cancel(), [heat]);
  const map = useComputed(() => (heat.state.value.kind === "map" ? heat.state.value.map : null));
  const image = heat.image.value;
  return (
    <Sheet class="heat-map" title={TEXTS.heatMap.title} onClose={onClose}>
      {() => (
        <div class="heat-columns">
          {image && (
            <HeatMapView app={app} image={image} word={heat.word.value?.text ?? null} map={map.value} />
          )}
          <div class="heat-choice">
            {heat.images.length > 1 && <Images app={app} heat={heat} />}
            <p id="heat-words">{TEXTS.heatMap.choose}</p>
            <Words heat={heat} />
            <State heat={heat} />
            <details class="heat-how">
              <summary>{TEXTS.heatMap.how}</summary>
              <p>{TEXTS.heatMap.explanation}</p>
            </details>
          </div>
        </div>
      )}
    </Sheet>
  );
}

/** The words are one stop of the Tab key; arrow keys move between them. */
function Words({ heat }: { readonly heat: HeatMapState }): JSX.Element {
  const list = useRef<HTMLDivElement>(null);
  const pieces = useMemo(() => piecesOf(heat.answer), [heat]);
  const chosen = heat.word.value;
  const first = pieces.find(({ isWord }) => isWord);
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const buttons = [...(list.current?.querySelectorAll("button") ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    if (step === undefined || at < 0) return;
    event.preventDefault();
    buttons[at + step]?.focus();
  };
  return (
    <div ref={list} class="heat-words" role="group" aria-labelledby="heat-words" onKeyDown={onKeyDown}>
      {pieces.map((piece) =>
        piece.isWord ? (
          <button
            key={piece.start}
            type="button"
            tabIndex={piece.start === (chosen ?? first)?.start ? 0 : -1}
            aria-pressed={piece.start === chosen?.start}
            onClick={() => heat.choose(piece)}
          >
            {piece.text}
          </button>
        ) : (
          <span key={piece.start}>{piece.text}</span>
        ),
      )}
    </div>
  );
}

function State({ heat }: { readonly heat: HeatMapState }): JSX.Element {
  const state = heat.state.value;
  return (
    <div class="heat-state">
      <p role="status">
        {state.kind === "computing" && TEXTS.heatMap.computing(heat.word.value?.text ?? "")}
        {state.kind === "map" && TEXTS.heatMap.ready(heat.word.value?.text ?? "")}
        {state.kind === "failed" && state.failure.message}
      </p>
      {state.kind === "computing" && (
        <>
          <progress max={state.total} value={state.done} aria-label={TEXTS.heatMap.progress} />
          <button type="button" class="text-button" onClick={() => heat.cancel()}>
            {TEXTS.turn.cancel}
          </button>
        </>
      )}
      {state.kind === "failed" && heat.word.value && (
        <button
          type="button"
          class="text-button"
          onClick={() => heat.word.value && heat.choose(heat.word.value)}
        >
          {TEXTS.turn.tryAgain}
        </button>
      )}
    </div>
  );
}

function Images({ app, heat }: { readonly app: App; readonly heat: HeatMapState }): JSX.Element {
  return (
    <div class="heat-images" role="group" aria-label={TEXTS.heatMap.images}>
      {heat.images.map((image, index) => (
        <button
          key={index}
          type="button"
          aria-pressed={index === heat.imageIndex.value}
          aria-label={image.name}
          onClick={() => heat.chooseImage(index)}
        >
          <StoredImage image={image} urls={app.urls} alt="" />
        </button>
      ))}
    </div>
  );
}
