/** Warns before the question is asked that a model which was trained on drawings only guesses about other images. */
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import { summarize } from "../../state/models/card-summary.ts";
import { modelFacts } from "../../state/models/model-facts.ts";
import { isReady } from "../../state/models/available-models.ts";
import { TEXTS } from "../../ui/texts.ts";

interface Props {
  readonly app: App;
}

/** Number of sample images that show what the model knows. */
const EXAMPLES = 3;

export function PhotoNotice({ app }: Props): JSX.Element | null {
  const card = app.models.selected.value?.card;
  const isOwn = app.draft.images.value.some(({ isDrawing }) => isDrawing !== true);
  if (!card || !isOwn) return null;
  const { limits } = summarize(card.card);
  if (!modelFacts(card.card).isForDrawingsOnly)
    return limits === null ? null : <Limits id={card.id} limits={limits} />;
  const others = (app.models.list.value ?? []).filter(
    (model) => isReady(model) && !modelFacts(model.card.card).isForDrawingsOnly,
  );
  return (
    <aside class="photo-notice">
      {limits === null ? (
        <p>{TEXTS.scenes.photo.notice(card.id)}</p>
      ) : (
        <Limits id={card.id} limits={limits} />
      )}
      <span class="examples" aria-hidden="true">
        {(app.samples.value ?? []).slice(0, EXAMPLES).map(({ file }) => (
          <img key={file} src={`/samples/${file}`} alt="" width="384" height="384" />
        ))}
      </span>
      {others.map(({ card: { id } }) => (
        <button key={id} type="button" class="text-button" onClick={() => app.models.choose(id)}>
          {TEXTS.scenes.photo.use(id)}
        </button>
      ))}
    </aside>
  );
}

function Limits({ id, limits }: { readonly id: string; readonly limits: string }): JSX.Element {
  return (
    <p class="limits">
      <strong>{id}:</strong> {limits}
    </p>
  );
}
