/**
 * Shows the frame of the page with the sidebar and the current part, and accepts images that are dropped or pasted
 * anywhere.
 */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import { Composer } from "../chat/composer.tsx";
import { Transcript } from "../chat/transcript.tsx";
import { Welcome } from "../chat/welcome.tsx";
import { lazily } from "../../ui/lazy.tsx";
import { imagesAmong } from "../../images/read-image.ts";
import { TEXTS } from "../../ui/texts.ts";
import { Header } from "./header.tsx";
import { HelpSheet } from "./help-sheet.tsx";
import { listenForKeys } from "./page-keys.ts";
import { Sidebar } from "./sidebar.tsx";
import { ToastView } from "./toast.tsx";

interface Props {
  readonly app: App;
}

const ComparePage = lazily<Props>(async () => (await import("../compare/compare-page.tsx")).ComparePage);

const ClusterPage = lazily<Props>(async () => (await import("../cluster/cluster-page.tsx")).ClusterPage);

export function Page({ app }: Props): JSX.Element {
  const isDragging = useSignal(false);
  const isListOpen = useSignal(false);
  const isHelpOpen = useSignal(false);
  useEffect(() => listenForImages(app, (is) => (isDragging.value = is)), [app]);
  useEffect(() => {
    const openList = (): void => void (isListOpen.value = true);
    return listenForKeys(app, { openList, openHelp: () => (isHelpOpen.value = true) });
  }, [app]);
  const { kind } = app.router.route.value;
  const isEmpty = app.chat.path.value.length === 0;
  return (
    <div class="page" data-list={isListOpen.value ? "open" : "closed"}>
      <a class="skip" href={kind === "cluster" ? "#cluster" : "#question"}>
        {kind === "cluster" ? TEXTS.cluster.skip : TEXTS.shell.skip}
      </a>
      <Sidebar app={app} isOpen={isListOpen} />
      <div class="chat">
        <Header app={app} isListOpen={isListOpen} onHelp={() => (isHelpOpen.value = true)} />
        {kind === "compare" && <ComparePage app={app} />}
        {kind === "cluster" && <ClusterPage app={app} />}
        {(kind === "new" || kind === "chat") && (
          <>
            {isEmpty ? <Welcome app={app} /> : <Transcript app={app} key={app.chat.conversation.value?.id} />}
            <Composer app={app} />
          </>
        )}
      </div>
      {isDragging.value && (
        <div class="drop-here" aria-hidden="true">
          <p>{TEXTS.composer.drop}</p>
        </div>
      )}
      {isHelpOpen.value && <HelpSheet app={app} onClose={() => (isHelpOpen.value = false)} />}
      <ToastView app={app} />
      <Announcements app={app} />
    </div>
  );
}

/** Rendered from the start, because screen readers miss the content of a region that is added together with it. */
function Announcements({ app }: Props): JSX.Element {
  return (
    <div class="unseen">
      <p role="status">{app.status}</p>
      <div role="log">
        {app.announcer.paragraphs.value.map((paragraph, index) => (
          <p key={index}>{paragraph}</p>
        ))}
      </div>
    </div>
  );
}

/** Returns a function that removes the listeners. */
function listenForImages(app: App, setDragging: (isDragging: boolean) => void): () => void {
  const ending = new AbortController();
  const { signal } = ending;
  // Entering a child is reported before leaving its parent, so only the depth tells when the pointer has left the
  // page.
  let depth = 0;
  const takeFrom = (data: DataTransfer | null): boolean => {
    const files = [...(data?.files ?? [])];
    const images = imagesAmong(files);
    if (images.length > 0) void app.draft.takeFiles(images);
    else if (files[0]) app.draft.problem.value = TEXTS.composer.notAnImage(files[0].name);
    return images.length > 0;
  };
  const drag = (step: number) => (event: DragEvent) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    depth += step;
    setDragging(depth > 0);
  };
  const drop = (event: DragEvent): void => {
    drag(-depth)(event);
    takeFrom(event.dataTransfer);
  };
  const paste = (event: ClipboardEvent): void => {
    if (takeFrom(event.clipboardData)) event.preventDefault();
  };
  window.addEventListener("dragenter", drag(1), { signal });
  window.addEventListener("dragleave", drag(-1), { signal });
  window.addEventListener("dragover", drag(0), { signal });
  window.addEventListener("drop", drop, { signal });
  window.addEventListener("paste", paste, { signal });
  return () => ending.abort();
}
