/** Shows above the composer why nothing can be asked at the moment and what would change that. */
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import { isReady } from "../../state/models/available-models.ts";
import type { Models } from "../../state/models/available-models.ts";
import { TEXTS } from "../../ui/texts.ts";

export function Notice({ app }: { readonly app: App }): JSX.Element | null {
  const { models } = app;
  const text = app.events.isConnected.value ? noticeText(models) : TEXTS.shell.offline;
  if (text === null) return <NotStored app={app} />;
  const other = models.list.value?.find(isReady)?.card.id;
  return (
    <div class="notice">
      <p>
        {text} {app.events.isConnected.value && <span class="soft">{TEXTS.models.goesOn}</span>}
      </p>
      {other !== undefined && (
        <button type="button" class="text-button" onClick={() => models.choose(other)}>
          {TEXTS.models.use(other)}
        </button>
      )}
    </div>
  );
}

function NotStored({ app }: { readonly app: App }): JSX.Element | null {
  const problem = app.store.problem.value;
  if (problem === null) return null;
  return (
    <div class="notice">
      <p>{problem}</p>
    </div>
  );
}

function noticeText({ problem, list, selected }: Models): string | null {
  if (problem.value) return problem.value.message;
  if (list.value === null) return null;
  if (selected.value === null) return TEXTS.models.noModel;
  return selected.value.state === "gone" ? TEXTS.models.noWorker(selected.value.card.id) : null;
}
