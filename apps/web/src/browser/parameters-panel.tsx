/** The sliders behind the button in the header, in a panel of the browser's own kind: Escape or a click beside closes it. */
import type { Signal } from "@preact/signals";
import type { JSX } from "preact";

import { ParametersIcon } from "./icons.tsx";
import { PARAMETERS, PRESET_VALUES } from "./parameters.ts";
import type { Parameter, ParameterValues } from "./parameters.ts";

interface Props {
  readonly values: Signal<ParameterValues>;
}

export function ParametersButton({ values }: Props): JSX.Element {
  return (
    <>
      <button type="button" class="quiet-button" aria-label="Parameters" popovertarget="parameters">
        <ParametersIcon />
        <span class="wide-only">Parameters</span>
      </button>
      <div id="parameters" class="parameters" popover="auto" role="group" aria-label="Parameters">
        {PARAMETERS.map((parameter) => (
          <Slider key={parameter.key} parameter={parameter} values={values} />
        ))}
        <button type="button" class="text-button" onClick={() => (values.value = PRESET_VALUES)}>
          Back to the defaults
        </button>
      </div>
    </>
  );
}

function Slider({ parameter, values }: Props & { readonly parameter: Parameter }): JSX.Element {
  const { key, label, hint, min, max, step } = parameter;
  const value = values.value[key];
  const set = (text: string): void => {
    values.value = { ...values.value, [key]: Number(text) };
  };
  return (
    <div class="slider">
      <label for={key}>{label}</label>
      <output for={key}>{step < 1 ? value.toFixed(2) : value}</output>
      <input
        id={key}
        type="range"
        {...{ min, max, step, value }}
        aria-describedby={`${key}-hint`}
        onInput={(event) => set(event.currentTarget.value)}
      />
      <small id={`${key}-hint`}>{hint}</small>
    </div>
  );
}
