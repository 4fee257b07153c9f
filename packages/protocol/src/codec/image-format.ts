/** Detects an image file's format by its first bytes, and refuses those that are not taken. */
import { LlavaError } from "./errors.ts";

export type ImageFormat = "png" | "jpeg" | "webp";

/** Throws `invalid_image` for everything but PNG, JPEG and WebP, with the name of the format where it is known. */
export function detectFormat(bytes: Uint8Array): ImageFormat {
  if (bytes.length === 0) {
    throw new LlavaError("invalid_image", "The image is an empty file. Choose the file again.");
  }
  if (startsWith(bytes, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return "png";
  if (startsWith(bytes, [0xff, 0xd8, 0xff])) return "jpeg";
  if (ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 12) === "WEBP") return "webp";
  const name = refusedFormat(bytes);
  const found = name === null ? "This file is not an image that can be read" : `This file is ${name}`;
  throw new LlavaError("invalid_image", `${found}. Send the image as PNG, JPEG or WebP.`);
}

function refusedFormat(bytes: Uint8Array): string | null {
  const start = ascii(bytes, 0, 4);
  if (start === "GIF8") return "a GIF";
  if (start === "%PDF") return "a PDF document";
  if (start === "II*\0" || start === "MM\0*") return "a TIFF";
  if (start.startsWith("BM")) return "a BMP";
  if (startsWith(bytes, [0xff, 0x0a]) || ascii(bytes, 4, 8) === "JXL ") return "a JPEG XL image";
  if (ascii(bytes, 4, 8) === "ftyp") return "a HEIF, AVIF or video file";
  const text = ascii(bytes, 0, 512).trimStart().toLowerCase();
  if (text.startsWith("<svg") || (text.startsWith("<?xml") && text.includes("<svg"))) return "an SVG drawing";
  if (text.startsWith("<!doctype html") || text.startsWith("<html")) return "a web page";
  return null;
}

function startsWith(bytes: Uint8Array, expected: readonly number[]): boolean {
  return expected.every((byte, index) => bytes[index] === byte);
}

function ascii(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, to));
}
