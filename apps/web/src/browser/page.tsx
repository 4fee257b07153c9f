/** The whole page: header, conversation or welcome, composer; and what can be dropped or pasted anywhere on it. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { JSX } from "preact";

import { Composer } from "./composer.tsx";
import { Header } from "./header.tsx";
import type { PageState } from "./page-state.ts";
import { pictureAmong } from "./picture.ts";
import { Transcript } from "./transcript.tsx";
import { Welcome } from "./welcome.tsx";

interface Props {
  readonly state: PageState;
}

export function Page({ state }: Props): JSX.Element {
  const isDragging = useSignal(false);
  useEffect(() => listenForPictures(state, (is) => (isDragging.value = is)), [state]);
  const isEmpty = state.conversation.turns.value.length === 0;
  return (
    <div class="page">
      <a class="skip" href="#question">
        Skip to the question
      </a>
      <Header state={state} />
      {isEmpty ? <Welcome state={state} /> : <Transcript state={state} />}
      <Composer state={state} />
      {isDragging.value && (
        <div class="drop-here" aria-hidden="true">
          <p>Drop the picture</p>
        </div>
      )}
      <Spoken state={state} />
    </div>
  );
}

/** Present from the start, for screen readers do not notice a region that comes together with its words. */
function Spoken({ state }: Props): JSX.Element {
  return (
    <div class="unseen">
      <p role="status">{state.status}</p>
      <p role="log">{state.spokenAnswer}</p>
    </div>
  );
}

/** Returns what ends the listening. */
function listenForPictures(state: PageState, setDragging: (isDragging: boolean) => void): () => void {
  const ending = new AbortController();
  const { signal } = ending;
  // Entering a child comes before leaving its parent, so only the depth tells when the pointer left the page.
  let depth = 0;
  const takeFrom = (data: DataTransfer | null): boolean => {
    const file = pictureAmong(data?.files);
    if (file) void state.draft.takeFile(file);
    else if (data?.files[0]) state.draft.problem.value = `"${data.files[0].name}" is not a picture.`;
    return file !== null;
  };
  const drag = (step: number) => (event: DragEvent) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    depth += step;
    setDragging(depth > 0);
  };
  window.addEventListener("dragenter", drag(1), { signal });
  window.addEventListener("dragleave", drag(-1), { signal });
  window.addEventListener("dragover", drag(0), { signal });
  window.addEventListener(
    "drop",
    (event) => {
      drag(-depth)(event);
      takeFrom(event.dataTransfer);
    },
    { signal },
  );
  window.addEventListener(
    "paste",
    (event) => {
      if (takeFrom(event.clipboardData)) event.preventDefault();
    },
    { signal },
  );
  return () => ending.abort();
}
