/** Words to the clipboard, with a word about it for a moment. */

const SHOWN_MS = 1_500;

/** @param show called with true, and with false when the moment is over; not at all where the browser forbids it */
export async function copyText(text: string, show: (isCopied: boolean) => void): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    return;
  }
  show(true);
  setTimeout(() => show(false), SHOWN_MS);
}
