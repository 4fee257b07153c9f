/** What the camera sees, and a button. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { CloseIcon } from "../../ui/icons.tsx";
import "../../styles/camera.css";
import { TEXTS } from "../../ui/texts.ts";

export interface CameraProps {
  readonly onTake: (file: File) => void;
  /** There is no camera, or it may not be used. */
  readonly onFail: () => void;
  readonly onClose: () => void;
}

export function Camera({ onTake, onFail, onClose }: CameraProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
    return watch(video.current, () => {
      onFail();
      dialog.current?.close();
    });
  }, []);
  const take = async (): Promise<void> => {
    const file = video.current && (await still(video.current));
    if (file) onTake(file);
    dialog.current?.close();
  };
  return (
    <dialog ref={dialog} class="sheet camera" aria-labelledby="camera-title" onClose={onClose}>
      <h2 id="camera-title">{TEXTS.pictures.camera.title}</h2>
      <video ref={video} autoPlay playsInline muted />
      <button type="button" class="shutter" onClick={() => void take()}>
        {TEXTS.pictures.camera.take}
      </button>
      <button
        type="button"
        class="round-button sheet-close"
        aria-label={TEXTS.shell.close}
        onClick={() => dialog.current?.close()}
      >
        <CloseIcon />
      </button>
    </dialog>
  );
}

/** Returns what switches the camera off: its light must go out with the dialog, also while it is still being asked for. */
function watch(video: HTMLVideoElement | null, fail: () => void): () => void {
  let stream: MediaStream | null = null;
  let isOver = false;
  const stop = (): void => stream?.getTracks().forEach((track) => track.stop());
  const begin = async (): Promise<void> => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "environment" },
        audio: false,
      });
      if (isOver) stop();
      else if (video) video.srcObject = stream;
    } catch {
      if (!isOver) fail();
    }
  };
  void begin();
  return () => {
    isOver = true;
    stop();
  };
}

/** Null before the camera shows anything. */
async function still(video: HTMLVideoElement): Promise<File | null> {
  const { videoWidth: width, videoHeight: height } = video;
  if (width === 0) return null;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
  return new File([blob], TEXTS.pictures.camera.file, { type: "image/jpeg" });
}
