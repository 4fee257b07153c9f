/** Shows the list of keys, and the choice of when answers are announced to screen readers. */
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import { READINGS } from "../../state/screen-reader-announcer.ts";
import { Sheet } from "../../ui/dialog.tsx";
import { TEXTS } from "../../ui/texts.ts";

interface Props {
  readonly app: App;
  readonly onClose: () => void;
}

export function HelpSheet({ app, onClose }: Props): JSX.Element {
  return (
    <Sheet title={TEXTS.help.title} onClose={onClose}>
      {() => (
        <>
          <dl class="key-list">
            {TEXTS.help.rows.map(([key, does]) => (
              <div key={key}>
                <dt>
                  <kbd>{key}</kbd>
                </dt>
                <dd>{does}</dd>
              </div>
            ))}
          </dl>
          <label class="reading-aloud">
            <span>{TEXTS.help.reading}</span>
            <select
              value={app.announcer.reading.value}
              onChange={({ currentTarget }) => {
                const chosen = READINGS.find((reading) => reading === currentTarget.value);
                if (chosen !== undefined) app.announcer.choose(chosen);
              }}
            >
              {READINGS.map((reading) => (
                <option key={reading} value={reading}>
                  {TEXTS.help.readings[reading]}
                </option>
              ))}
            </select>
          </label>
        </>
      )}
    </Sheet>
  );
}
