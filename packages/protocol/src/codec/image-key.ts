/**
 * Writes an image's key, `sha256:` and the hash of its encoded file. Requests refer by it to an image that was uploaded
 * before, and controllers find by it a worker that has seen the image.
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
