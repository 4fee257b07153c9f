/** A part of the page that is loaded when somebody comes to it. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ComponentType, JSX } from "preact";

import type { App } from "../app.ts";

export type LoadedPage = ComponentType<{ readonly app: App }>;

interface Props {
  readonly app: App;
  readonly load: () => Promise<LoadedPage>;
}

export function Later({ app, load }: Props): JSX.Element {
  const loaded = useSignal<LoadedPage | null>(null);
  useEffect(() => void load().then((page) => (loaded.value = page)), [load]);
  const Shown = loaded.value;
  return Shown ? <Shown app={app} /> : <main class="scroll" aria-busy="true" />;
}
