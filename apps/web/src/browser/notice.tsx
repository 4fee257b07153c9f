/** Says above the composer why nothing can be asked right now, and what will change it. */
import type { JSX } from "preact";

import type { Models } from "./models.ts";
import type { PageState } from "./page-state.ts";

export function Notice({ state }: { readonly state: PageState }): JSX.Element | null {
  const { models } = state;
  const text = noticeText(models);
  if (text === null) return null;
  const other = models.list.value?.find(({ isReady }) => isReady)?.card.id;
  return (
    <div class="notice">
      <p>
        {text} <span class="soft">This page goes on by itself.</span>
      </p>
      {other !== undefined && (
        <button type="button" class="text-button" onClick={() => models.choose(other)}>
          Use {other}
        </button>
      )}
    </div>
  );
}

function noticeText(models: Models): string | null {
  const selected = models.selected.value;
  if (models.problem.value) return models.problem.value.message;
  if (models.list.value === null || selected?.isReady) return null;
  if (!selected) return "No model is being served yet: no worker has joined the controller.";
  return `No worker serves ${selected.card.id} at the moment.`;
}
