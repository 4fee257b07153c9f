/** Shows the choice of a side's model and temperature. */
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import { RANGES } from "../../services/store/answer-settings.ts";
import { TEXTS } from "../../ui/texts.ts";
import type { Comparison } from "./comparison.ts";

interface Props {
  readonly app: App;
  readonly comparison: Comparison;
  readonly index: 0 | 1;
}

export function SidePicker({ app, comparison, index }: Props): JSX.Element {
  const choice = comparison.choices[index];
  const name = TEXTS.compare.sides[index];
  const { min, max, step } = RANGES.temperature;
  return (
    <fieldset class="side-picker">
      <legend>{name}</legend>
      <select
        aria-label={TEXTS.compare.modelOf(name)}
        value={comparison.modelOf(index) ?? ""}
        onChange={(event) => (choice.value = { ...choice.value, model: event.currentTarget.value })}
      >
        {(app.models.list.value ?? []).map(({ card }) => (
          <option key={card.id} value={card.id}>
            {card.id}
          </option>
        ))}
      </select>
      <label>
        {TEXTS.parameters.temperature.label} <output>{choice.value.temperature.toFixed(2)}</output>
        <input
          type="range"
          aria-label={TEXTS.compare.temperatureOf(name)}
          {...{ min, max, step }}
          value={choice.value.temperature}
          onInput={(event) =>
            (choice.value = { ...choice.value, temperature: event.currentTarget.valueAsNumber })
          }
        />
      </label>
    </fieldset>
  );
}
