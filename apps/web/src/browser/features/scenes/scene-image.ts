/** Renders a scene to an image with a description and suggested questions. */
import { caption, render, suggestQuestions } from "@llava/demo/scenes";
import type { Scene } from "@llava/demo/scenes";

import { work } from "../../images/worker/image-worker-client.ts";
import type { ReadImage } from "../../images/read-image.ts";
import { isUnseen } from "./unseen.ts";

/** Edge of the image, pixels: four times that of the demo model's input, as for the samples. */
export const SCENE_IMAGE_SIZE = 384;
const MAX_QUESTIONS = 4;

/** @param seed selects the suggested questions */
export async function sceneImage(scene: Scene, name: string, seed: number): Promise<ReadImage> {
  const rgb = Uint8Array.from(render(scene, SCENE_IMAGE_SIZE));
  const { blob, key, width, height } = await work({ kind: "encode", rgb, size: SCENE_IMAGE_SIZE });
  const questions = suggestQuestions(scene, seed, MAX_QUESTIONS, isUnseen(scene));
  return {
    ref: {
      key,
      name,
      width,
      height,
      mode: "default",
      alt: scene.objects.length === 0 ? name : caption(scene),
      questions: questions.map(({ text }) => text),
      answers: questions.map(({ sentence }) => sentence),
      isDrawing: true,
    },
    blob,
  };
}

/** Paints a scene on a square canvas of any size. */
export function paint(canvas: HTMLCanvasElement, scene: Scene): void {
  const { width: size } = canvas;
  const context = canvas.getContext("2d");
  if (context === null) return;
  const rgb = render(scene, size);
  const data = new Uint8ClampedArray(size * size * 4).fill(255);
  for (let from = 0, to = 0; from < rgb.length; to++) {
    data[to++] = rgb[from++] ?? 0;
    data[to++] = rgb[from++] ?? 0;
    data[to++] = rgb[from++] ?? 0;
  }
  context.putImageData(new ImageData(data, size, size), 0, 0);
}
