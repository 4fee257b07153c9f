/** How pictures become the model's square, what that costs, and at which size new ones are sent. */
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
      {square && <p>{TEXTS.pictures.sees(square.size, square.tokens)}</p>}
      {square && app.can("image_modes") && <Modes app={app} />}
      <Cap />
    </div>
  );
}

/** One choice for all pictures of the question: what is compared must be seen alike. */
function Modes({ app }: Pick<Props, "app">): JSX.Element {
  const pictures = app.draft.pictures.value;
  const chosen = pictures[0]?.mode ?? "default";
  const choose = (mode: ImageMode): void => {
    for (const { key } of pictures) app.draft.setMode(key, mode);
  };
  return (
    <fieldset class="modes">
      <legend class="unseen">{TEXTS.pictures.modes}</legend>
      {MODES.map((mode) => (
        <label key={mode} title={TEXTS.pictures.modeHint[mode]}>
          <input
            type="radio"
            name="picture-mode"
            checked={mode === chosen}
            onChange={() => choose(mode)}
            aria-describedby={mode === chosen ? "mode-hint" : undefined}
          />
          <span>{TEXTS.pictures.mode[mode]}</span>
        </label>
      ))}
      <p id="mode-hint" class="unseen">
        {TEXTS.pictures.modeHint[chosen]}
      </p>
    </fieldset>
  );
}

function Cap(): JSX.Element {
  return (
    <label class="cap">
      {TEXTS.pictures.cap}{" "}
      <select
        value={String(cap.value)}
        onChange={({ currentTarget }) => {
          cap.value = CAPS.find((choice) => String(choice) === currentTarget.value) ?? null;
          chooseCap(cap.value);
        }}
      >
        {CAPS.map((choice) => (
          <option key={choice} value={String(choice)}>
            {TEXTS.pictures.caps(choice)}
          </option>
        ))}
      </select>
    </label>
  );
}
