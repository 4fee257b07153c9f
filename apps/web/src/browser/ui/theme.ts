/** Light or dark, as the system has it until somebody chooses. */
import { effect, signal } from "@preact/signals";
import type { Signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const KEY = "llava.theme";
const ORDER: readonly Theme[] = ["system", "light", "dark"];

export const theme: Signal<Theme> = signal(
  ORDER.find((name) => name === localStorage.getItem(KEY)) ?? "system",
);

export function nextTheme(): void {
  theme.value = ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length] ?? "system";
}

/** Writes it to the page, now and whenever it changes. */
export function followTheme(): void {
  effect(() => {
    document.documentElement.dataset["theme"] = theme.value;
    localStorage.setItem(KEY, theme.value);
  });
}
