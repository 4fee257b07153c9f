/** Shows the start page: what the page is for, sample images, and what the model's card states about it. */
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import { lazily } from "../../ui/lazy.tsx";
import { summarize } from "../../state/models/card-summary.ts";
import type { GalleryProps } from "../scenes/gallery.tsx";
import { ModelBadge } from "../scenes/model-badge.tsx";
import { sampleUrl } from "../../state/samples.ts";
import type { Sample } from "../../state/samples.ts";
import { TEXTS } from "../../ui/texts.ts";

const Gallery = lazily<GalleryProps>(async () => (await import("../scenes/gallery.tsx")).Gallery);

interface Props {
  readonly app: App;
}

export function Welcome({ app }: Props): JSX.Element {
  const samples = app.samples.value;
  return (
    <main class="scroll">
      <div class="column welcome">
        <h2>{TEXTS.welcome.title}</h2>
        <p class="lead">{TEXTS.welcome.lead}</p>
        {samples !== null && samples.length > 0 && (
          <section aria-labelledby="samples-title">
            <h3 id="samples-title">{TEXTS.welcome.samples}</h3>
            <ul class="samples">
              {samples.map((sample) => (
                <li key={sample.file}>
                  <SampleButton sample={sample} app={app} />
                </li>
              ))}
            </ul>
          </section>
        )}
        {/* Parts that load later are placed below the others, so that nothing moves. */}
        {samples !== null && (
          <>
            <ModelNote app={app} />
            <p class="privacy">{TEXTS.welcome.privacy}</p>
            <Gallery app={app} />
          </>
        )}
      </div>
    </main>
  );
}

function SampleButton({ sample, app }: Props & { readonly sample: Sample }): JSX.Element {
  const isChosen = app.draft.images.value.some(({ name, isDrawing }) => isDrawing && name === sample.title);
  return (
    <button type="button" class="sample" aria-pressed={isChosen} onClick={() => void app.takeSample(sample)}>
      <img src={sampleUrl(sample)} alt={sample.alt} width="384" height="384" draggable={false} />
      <span class="sample-title">{sample.title}</span>
      {sample.badge && <span class="badge">{sample.badge}</span>}
    </button>
  );
}

/** Description and limits of the model, from its card. */
function ModelNote({ app }: Props): JSX.Element | null {
  const card = app.models.selected.value?.card;
  const { description, limits } = summarize(card?.card);
  if (!card || (!description && !limits)) return null;
  return (
    <aside class="model-note" aria-label={TEXTS.models.about(card.id)}>
      <p>
        <strong>{card.id}</strong> {description}
      </p>
      {limits && limits !== description && <p class="limits">{limits}</p>}
      <ModelBadge card={card} />
    </aside>
  );
}
