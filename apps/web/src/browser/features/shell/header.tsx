/** Shows the header: the choice of the model, the settings of answers, the theme and the help. */
import type { Signal } from "@preact/signals";
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import { ChevronIcon, Emblem, HelpIcon, MenuIcon, ThemeIcon } from "../../ui/icons.tsx";
import { isReady } from "../../state/models/available-models.ts";
import type { Models } from "../../state/models/available-models.ts";
import { TEXTS } from "../../ui/texts.ts";
import { nextTheme, theme } from "../../ui/theme.ts";
import { ParametersButton } from "../chat/parameters-panel.tsx";

interface Props {
  readonly app: App;
  readonly isListOpen: Signal<boolean>;
  readonly onHelp: () => void;
}

export function Header({ app, isListOpen, onHelp }: Props): JSX.Element {
  const themeLabel = TEXTS.shell.theme[theme.value];
  return (
    <header class="header">
      <button
        type="button"
        class="quiet-button drawer-only"
        aria-label={TEXTS.shell.openList}
        aria-expanded={isListOpen.value}
        onClick={() => (isListOpen.value = !isListOpen.value)}
      >
        <MenuIcon />
      </button>
      <h1 class="name">
        <Emblem />
        <span>{TEXTS.shell.name}</span>
      </h1>
      <ModelPicker models={app.models} />
      <div class="header-actions">
        <ParametersButton chat={app.chat} card={app.models.selected.value?.card} />
        <button
          type="button"
          class="quiet-button"
          aria-label={themeLabel}
          title={themeLabel}
          onClick={nextTheme}
        >
          <ThemeIcon />
        </button>
        <button
          type="button"
          class="quiet-button wide-only"
          aria-label={TEXTS.shell.help}
          title={TEXTS.shell.help}
          onClick={onHelp}
        >
          <HelpIcon />
        </button>
      </div>
    </header>
  );
}

function ModelPicker({ models }: { readonly models: Models }): JSX.Element {
  const list = models.list.value ?? [];
  const selected = models.selected.value;
  const { word, kind } = stateOf(models);
  return (
    <div class="model-picker" data-state={kind}>
      <span class="state-dot" aria-hidden="true" />
      <label class="unseen" for="model">
        {TEXTS.models.label}
      </label>
      <select
        id="model"
        aria-describedby="model-state"
        value={selected?.card.id ?? ""}
        disabled={list.length === 0}
        onChange={(event) => models.choose(event.currentTarget.value)}
      >
        {list.length === 0 && (
          <option value="">
            {models.list.value === null ? TEXTS.models.connecting : TEXTS.models.noneYet}
          </option>
        )}
        {list.map((model) => (
          <option key={model.card.id} value={model.card.id}>
            {isReady(model) || model === selected ? model.card.id : TEXTS.models.gone(model.card.id)}
          </option>
        ))}
      </select>
      <ChevronIcon />
      <span id="model-state" class="state-word">
        {word}
      </span>
    </div>
  );
}

/** State of the chosen model as a word, because some users cannot distinguish the colours. */
function stateOf(models: Models): { readonly word: string; readonly kind: string } {
  const { states } = TEXTS.models;
  const selected = models.selected.value;
  if (models.problem.value) return { word: states.lost, kind: "lost" };
  if (models.list.value === null) return { word: states.unknown, kind: "unknown" };
  if (selected === null || selected.state === "gone") return { word: states.none, kind: "waiting" };
  if (selected.state === "draining") return { word: states.draining, kind: "waiting" };
  const parts: string[] = [states.ready];
  if (selected.numWorkers > 1) parts.push(TEXTS.models.workers(selected.numWorkers));
  if (selected.queue) parts.push(TEXTS.models.waiting(selected.queue));
  return { word: parts.join(" · "), kind: "ready" };
}
