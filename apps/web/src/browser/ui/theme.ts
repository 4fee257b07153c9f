/** Stores the choice of a light or dark theme; without one the theme is the system's. */
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

/** Applies the theme to the page, now and on each change. */
export function followTheme(): void {
  effect(() => {
    document.documentElement.dataset["theme"] = theme.value;
    localStorage.setItem(KEY, theme.value);
  });
}
