/**
 * Shows how much of the model's context the conversation takes: the usage of the last answer, and an estimate for the
 * draft and its images.
 */
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import { TEXTS } from "../../ui/texts.ts";

/**
 * Characters of English text per token in vocabularies of LLaVA's kind; an estimate, which the page shows with
 * "about".
 */
const CHARACTERS_PER_TOKEN = 4;

export function ContextBar({ app }: { readonly app: App }): JSX.Element | null {
  const card = app.models.selected.value?.card;
  const all = card?.context_length;
  if (all === undefined || (app.chat.path.value.length === 0 && app.draft.isEmpty)) return null;
  const perImage = card?.tokens_per_image ?? 0;
  const typed = Math.ceil(app.draft.text.value.length / CHARACTERS_PER_TOKEN);
  const used = Math.min(all, answered(app) + typed + perImage * app.draft.images.value.length);
  return (
    <p class="context">
      <meter aria-label={TEXTS.composer.contextLabel} min={0} max={all} high={0.85 * all} value={used} />
      <span>{TEXTS.composer.context(used, all)}</span>
    </p>
  );
}

function answered(app: App): number {
  const last = app.chat.path.value.findLast(({ node }) => node.state.value?.kind === "finished");
  const state = last?.node.state.value;
  return state?.kind === "finished" ? (state.usage?.total_tokens ?? 0) : 0;
}
