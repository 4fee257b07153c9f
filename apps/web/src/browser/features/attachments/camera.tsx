/** Shows the camera's video and takes a still from it. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { Sheet } from "../../ui/dialog.tsx";
import "../../styles/camera.css";
import { TEXTS } from "../../ui/texts.ts";

export interface CameraProps {
  readonly onTake: (file: File) => void;
  /** Called when there is no camera or the user denies access to it. */
  readonly onFail: () => void;
  readonly onClose: () => void;
}

export function Camera({ onClose, ...props }: CameraProps): JSX.Element {
  return (
    <Sheet class="camera" title={TEXTS.images.camera.title} onClose={onClose}>
      {(close) => <Viewfinder {...props} close={close} />}
    </Sheet>
  );
}

interface ViewfinderProps extends Omit<CameraProps, "onClose"> {
  readonly close: () => void;
}

function Viewfinder({ onTake, onFail, close }: ViewfinderProps): JSX.Element {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(
    () =>
      watch(video.current, () => {
        onFail();
        close();
      }),
    [],
  );
  const take = async (): Promise<void> => {
    const file = video.current && (await still(video.current));
    if (file) onTake(file);
    close();
  };
  return (
    <>
      <video ref={video} autoPlay playsInline muted />
      <button type="button" class="shutter" onClick={() => void take()}>
        {TEXTS.images.camera.take}
      </button>
    </>
  );
}

/**
 * Returns a function that switches the camera off: its light must go out with the dialog, even while access is still
 * being requested.
 */
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

/** A still of the video; null before the camera delivers any. */
async function still(video: HTMLVideoElement): Promise<File | null> {
  const { videoWidth: width, videoHeight: height } = video;
  if (width === 0) return null;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
  return new File([blob], TEXTS.images.camera.file, { type: "image/jpeg" });
}
