/**
 * An image's key: the hash of its encoded file, by which requests refer to an image that was uploaded before and by which
 * controllers know who has seen it. Apart because clients, controllers and workers write it alike.
 */
const PREFIX = "sha256:";
const KEY = /^sha256:[0-9a-f]{64}$/;

/** @param hex the SHA-256 of the file's bytes, in lower case */
export function imageKey(hex: string): string {
  return PREFIX + hex;
}

export function isImageKey(text: string): boolean {
  return KEY.test(text);
}
