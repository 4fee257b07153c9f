/** The strip at the top: which model is asked, how it is to answer, and the way to a new conversation. */
import type { JSX } from "preact";

import { ChevronIcon, Emblem, NewChatIcon } from "./icons.tsx";
import type { Model, Models } from "./models.ts";
import type { PageState } from "./page-state.ts";
import { ParametersButton } from "./parameters-panel.tsx";

interface Props {
  readonly state: PageState;
}

export function Header({ state }: Props): JSX.Element {
  return (
    <header class="header">
      <h1 class="name">
        <Emblem />
        <span>LLaVA</span>
      </h1>
      <ModelPicker models={state.models} />
      <div class="header-actions">
        <ParametersButton values={state.parameters} />
        <button
          type="button"
          class="quiet-button"
          aria-label="New chat"
          disabled={state.conversation.turns.value.length === 0}
          onClick={() => state.startOver()}
        >
          <NewChatIcon />
          <span class="wide-only">New chat</span>
        </button>
      </div>
    </header>
  );
}

function ModelPicker({ models }: { readonly models: Models }): JSX.Element {
  const list = models.list.value ?? [];
  const selected = models.selected.value;
  const { word, kind } = stateOf(models, selected);
  return (
    <div class="model-picker" data-state={kind}>
      <span class="state-dot" aria-hidden="true" />
      <label class="unseen" for="model">
        Model
      </label>
      <select
        id="model"
        aria-describedby="model-state"
        value={selected?.card.id ?? ""}
        disabled={list.length === 0}
        onChange={(event) => models.choose(event.currentTarget.value)}
      >
        {list.length === 0 && (
          <option value="">{models.list.value === null ? "Connecting…" : "No model yet"}</option>
        )}
        {list.map(({ card, isReady }) => (
          <option key={card.id} value={card.id}>
            {isReady || card.id === selected?.card.id ? card.id : `${card.id} (no worker)`}
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

/** A word, for a colour alone says nothing to many. */
function stateOf(models: Models, selected: Model | null): { word: string; kind: string } {
  if (models.problem.value) return { word: "not connected", kind: "lost" };
  if (models.list.value === null) return { word: "connecting", kind: "unknown" };
  if (!selected) return { word: "no worker", kind: "waiting" };
  return selected.isReady ? { word: "ready", kind: "ready" } : { word: "no worker", kind: "waiting" };
}
