/** Shows an image from the browser's database. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { JSX } from "preact";

import type { ImageRef } from "../services/store/records.ts";
import type { ImageUrls } from "./image-urls.ts";

interface Props {
  readonly image: ImageRef;
  readonly urls: ImageUrls;
  readonly alt: string;
}

export function StoredImage({ image, urls, alt }: Props): JSX.Element {
  const url = useSignal<string | null>(null);
  const { key, width, height } = image;
  useEffect(() => {
    let isShown = true;
    void urls.of(key).then((found) => isShown && (url.value = found));
    return () => void (isShown = false);
  }, [key]);
  return (
    <img {...(url.value === null ? {} : { src: url.value })} {...{ alt, width, height }} draggable={false} />
  );
}
