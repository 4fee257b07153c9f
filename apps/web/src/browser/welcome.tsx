/** What one sees before the first question: what this is, pictures to begin with, and what the model cannot do. */
import type { JSX } from "preact";

import { summarize } from "./model-card.ts";
import type { PageState } from "./page-state.ts";
import { sampleUrl } from "./samples.ts";
import type { Sample } from "./samples.ts";

interface Props {
  readonly state: PageState;
}

export function Welcome({ state }: Props): JSX.Element {
  const samples = state.samples.value;
  return (
    <main class="scroll">
      <div class="column welcome">
        <h2>Ask about a picture</h2>
        <p class="lead">Drop one anywhere on this page, paste it, or choose a file.</p>
        {samples.length > 0 && (
          <section aria-labelledby="samples-title">
            <h3 id="samples-title">Or begin with one of these</h3>
            <ul class="samples">
              {samples.map((sample) => (
                <li key={sample.file}>
                  <SampleButton sample={sample} state={state} />
                </li>
              ))}
            </ul>
          </section>
        )}
        <ModelNote state={state} />
      </div>
    </main>
  );
}

function SampleButton({ sample, state }: Props & { readonly sample: Sample }): JSX.Element {
  const isChosen = state.draft.picture.value?.sample?.file === sample.file;
  return (
    <button
      type="button"
      class="sample"
      aria-pressed={isChosen}
      onClick={() => void state.draft.takeSample(sample)}
    >
      <img src={sampleUrl(sample)} alt={sample.alt} width="384" height="384" draggable={false} />
      <span class="sample-title">{sample.title}</span>
      {sample.badge && <span class="badge">{sample.badge}</span>}
    </button>
  );
}

/** The model's own words about itself, from its card. */
function ModelNote({ state }: Props): JSX.Element | null {
  const card = state.models.selected.value?.card;
  const { description, limits } = summarize(card?.card);
  if (!card || (!description && !limits)) return null;
  return (
    <aside class="model-note" aria-label={`About ${card.id}`}>
      <p>
        <strong>{card.id}</strong> {description}
      </p>
      {limits && limits !== description && <p class="limits">{limits}</p>}
    </aside>
  );
}
