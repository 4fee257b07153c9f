/** Copies text to the clipboard and reports success for a moment. */

const SHOWN_MS = 1_500;

/**
 * @param show called with true after copying and with false a moment later; not called where the browser forbids
 * copying
 */
export async function copyText(text: string, show: (isCopied: boolean) => void): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    return;
  }
  show(true);
  setTimeout(() => show(false), SHOWN_MS);
}
