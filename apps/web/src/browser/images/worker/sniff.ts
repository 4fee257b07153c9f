/**
 * Recognizes what a file is from its bytes before anything decodes it, because the browser's own error ("the source
 * image could not be decoded") does not tell a user what to do.
 */
export type FileKind =
  | "png"
  | "jpeg"
  | "webp"
  | "gif"
  | "avif"
  | "bmp"
  | "heic"
  | "svg"
  | "pdf"
  | "video"
  | "unknown";

export interface Sniffed {
  readonly kind: FileKind;
  readonly isAnimated: boolean;
  /** Whether some pixels may be transparent. */
  readonly mayBeTransparent: boolean;
  /** Whether the file may contain more than plain pixels: place and time, camera, colour profile, orientation. */
  readonly hasNotes: boolean;
  /** Size in pixels that the file states, before the EXIF rotation; null where it is not read. */
  readonly size: { readonly width: number; readonly height: number } | null;
}

const PLAIN = { isAnimated: false, mayBeTransparent: false, hasNotes: true, size: null } as const;

/** @param bytes the whole file, or at least its first 64 bytes */
export function sniff(bytes: Uint8Array): Sniffed {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (ascii(bytes, 1, 4) === "PNG" && bytes[0] === 0x89) return sniffPng(bytes, view);
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return { ...PLAIN, kind: "jpeg", size: jpegSize(bytes, view) };
  if (ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 12) === "WEBP") return sniffWebp(bytes);
  if (ascii(bytes, 0, 4) === "GIF8")
    return { ...PLAIN, kind: "gif", isAnimated: countGifFrames(bytes, 2) > 1, mayBeTransparent: true };
  if (ascii(bytes, 0, 2) === "BM") return { ...PLAIN, kind: "bmp" };
  if (ascii(bytes, 0, 4) === "%PDF") return { ...PLAIN, kind: "pdf" };
  if (ascii(bytes, 4, 8) === "ftyp") return sniffIsoMedia(ascii(bytes, 8, 12));
  if (/^\s*(<\?xml[^>]*>\s*)?(<!--[^]*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*<svg/i.test(ascii(bytes, 0, 1024)))
    return { ...PLAIN, kind: "svg" };
  return { ...PLAIN, kind: "unknown" };
}

/** The brands of ISO 14496-12 and of the formats built on it: HEIC, AVIF, video. */
function sniffIsoMedia(brand: string): Sniffed {
  if (brand === "avif" || brand === "avis")
    return { ...PLAIN, kind: "avif", isAnimated: brand === "avis", mayBeTransparent: true };
  return { ...PLAIN, kind: /^(hei[cxms]|hev[cxms]|mif1|msf1)$/.test(brand) ? "heic" : "video" };
}

/** PNG chunks that contain only pixels, or state that they are plain sRGB. */
const PLAIN_CHUNKS: ReadonlySet<string> = new Set([
  "IHDR",
  "PLTE",
  "IDAT",
  "IEND",
  "tRNS",
  "sRGB",
  "pHYs",
  "sBIT",
]);

function sniffPng(bytes: Uint8Array, view: DataView): Sniffed {
  if (bytes.length < 33) return { ...PLAIN, kind: "png" };
  const chunks = new Set<string>();
  // A chunk is length, name, data and checksum.
  for (let at = 8; at + 8 <= bytes.length; at += 12 + view.getUint32(at))
    chunks.add(ascii(bytes, at + 4, at + 8));
  const [depth = 8, colorType = 0] = bytes.subarray(24, 26);
  return {
    kind: "png",
    isAnimated: chunks.has("acTL"),
    mayBeTransparent: (colorType & 4) !== 0 || chunks.has("tRNS"),
    hasNotes: depth > 8 || [...chunks].some((name) => !PLAIN_CHUNKS.has(name)),
    size: { width: view.getUint32(16), height: view.getUint32(20) },
  };
}

/** The size from the frame header; null when there is none. */
function jpegSize(bytes: Uint8Array, view: DataView): Sniffed["size"] {
  for (let at = 2; at + 9 <= bytes.length && bytes[at] === 0xff; at += 2 + view.getUint16(at + 2)) {
    const marker = bytes[at + 1] ?? 0;
    // The frame markers are SOF0 to SOF15 without DHT, JPG and DAC.
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
  }
  return null;
}

function sniffWebp(bytes: Uint8Array): Sniffed {
  const isExtended = ascii(bytes, 12, 16) === "VP8X";
  const flags = isExtended ? (bytes[20] ?? 0) : 0;
  return {
    ...PLAIN,
    kind: "webp",
    isAnimated: (flags & 0x02) !== 0,
    mayBeTransparent: (flags & 0x10) !== 0 || ascii(bytes, 12, 16) === "VP8L",
  };
}

/** Counts up to `most` frames. It walks through the blocks, so that no byte of the pixels is mistaken for a block. */
function countGifFrames(bytes: Uint8Array, most: number): number {
  const tableSize = (flags: number): number => ((flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1));
  const afterSubBlocks = (start: number): number => {
    let at = start;
    while (at < bytes.length && bytes[at] !== 0) at += 1 + (bytes[at] ?? 0);
    return at + 1;
  };
  let frames = 0;
  let at = 13 + tableSize(bytes[10] ?? 0);
  while (at < bytes.length && frames < most) {
    if (bytes[at] === 0x21) at = afterSubBlocks(at + 2);
    else if (bytes[at] === 0x2c) {
      frames++;
      at = afterSubBlocks(at + 11 + tableSize(bytes[at + 9] ?? 0));
    } else break;
  }
  return frames;
}

function ascii(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, to));
}
