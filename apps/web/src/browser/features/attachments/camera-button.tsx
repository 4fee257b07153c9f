/**
 * Takes an image from the camera, in the page's own viewfinder where the browser allows one, otherwise through the
 * device's camera app.
 */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useRef } from "preact/hooks";

import type { App } from "../../state/app.ts";
import { CameraIcon } from "../../ui/icons.tsx";
import { lazily } from "../../ui/lazy.tsx";
import { TEXTS } from "../../ui/texts.ts";
import type { CameraProps } from "./camera.tsx";

const Camera = lazily<CameraProps>(async () => (await import("./camera.tsx")).Camera);

export function CameraButton({ app }: { readonly app: App }): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const isOpen = useSignal(false);
  // Missing on pages without https.
  const hasFinder = typeof navigator.mediaDevices?.getUserMedia === "function";
  return (
    <>
      <button
        type="button"
        class="round-button"
        aria-label={TEXTS.composer.camera}
        title={TEXTS.composer.camera}
        onClick={() => (hasFinder ? (isOpen.value = true) : input.current?.click())}
      >
        <CameraIcon />
      </button>
      <input
        ref={input}
        type="file"
        accept="image/*"
        capture="environment"
        hidden
        onChange={({ currentTarget }) => {
          void app.draft.takeFiles([...(currentTarget.files ?? [])]);
          currentTarget.value = "";
        }}
      />
      {isOpen.value && (
        <Camera
          onTake={(file) => void app.draft.takeFiles([file])}
          onFail={() => (app.draft.problem.value = TEXTS.images.camera.refused)}
          onClose={() => (isOpen.value = false)}
        />
      )}
    </>
  );
}
