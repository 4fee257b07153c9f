/**
 * Shows how images are fitted into the model's square and how many tokens that takes, and lets the user choose the
 * sent size.
 */
import { signal } from "@preact/signals";
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import type { ImageMode } from "../../services/store/records.ts";
import { TEXTS } from "../../ui/texts.ts";
import type { ModelSquare } from "../../images/model-square.ts";
import { CAPS, chooseCap, chosenCap } from "../../images/worker/send-size.ts";

interface Props {
  readonly app: App;
  readonly square: ModelSquare | null;
}

const MODES = ["default", "pad", "crop", "resize"] as const satisfies readonly ImageMode[];
const cap = signal(chosenCap());

export function ViewPanel({ app, square }: Props): JSX.Element {
  return (
    <div class="view-panel">
      {square && <p>{TEXTS.images.sees(square.size, square.tokens)}</p>}
      {square && app.can("image_modes") && <Modes app={app} />}
      <Cap />
    </div>
  );
}

/** One choice for all images of the question, because images that are compared must be seen alike. */
function Modes({ app }: Pick<Props, "app">): JSX.Element {
  const images = app.draft.images.value;
  const chosen = images[0]?.mode ?? "default";
  const choose = (mode: ImageMode): void => {
    for (const { key } of images) app.draft.setMode(key, mode);
  };
  return (
    <fieldset class="modes">
      <legend class="unseen">{TEXTS.images.modes}</legend>
      {MODES.map((mode) => (
        <label key={mode} title={TEXTS.images.modeHint[mode]}>
          <input
            type="radio"
            name="image-mode"
            checked={mode === chosen}
            onChange={() => choose(mode)}
            aria-describedby={mode === chosen ? "mode-hint" : undefined}
          />
          <span>{TEXTS.images.mode[mode]}</span>
        </label>
      ))}
      <p id="mode-hint" class="unseen">
        {TEXTS.images.modeHint[chosen]}
      </p>
    </fieldset>
  );
}

function Cap(): JSX.Element {
  return (
    <label class="cap">
      {TEXTS.images.cap}{" "}
      <select
        value={String(cap.value)}
        onChange={({ currentTarget }) => {
          cap.value = CAPS.find((choice) => String(choice) === currentTarget.value) ?? null;
          chooseCap(cap.value);
        }}
      >
        {CAPS.map((choice) => (
          <option key={choice} value={String(choice)}>
            {TEXTS.images.caps(choice)}
          </option>
        ))}
      </select>
    </label>
  );
}
