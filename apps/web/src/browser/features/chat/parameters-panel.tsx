/** Shows the settings of answers in a popover, which the browser closes on Escape or on a click outside. */
import type { ModelCard } from "@llava/protocol/browser";
import type { JSX } from "preact";

import type { Chat } from "../../state/chat/chat-state.ts";
import { DEFAULT_SETTINGS, RANGES } from "../../services/store/answer-settings.ts";
import type { RangedSetting } from "../../services/store/answer-settings.ts";
import { ParametersIcon } from "../../ui/icons.tsx";
import { TEXTS } from "../../ui/texts.ts";

interface Props {
  readonly chat: Chat;
}

interface PanelProps extends Props {
  readonly card: ModelCard | undefined;
}

const MAX_STOPS = 4;
const MAX_SEED = 2 ** 31 - 1;

export function ParametersButton({ chat, card }: PanelProps): JSX.Element {
  return (
    <>
      <button
        type="button"
        class="quiet-button"
        aria-label={TEXTS.parameters.title}
        popovertarget="parameters"
      >
        <ParametersIcon />
        <span class="wide-only">{TEXTS.parameters.title}</span>
      </button>
      <div id="parameters" class="parameters" popover="auto" role="group" aria-label={TEXTS.parameters.title}>
        <Slider chat={chat} name="temperature" />
        <Slider chat={chat} name="top_p" />
        <Slider chat={chat} name="max_tokens" />
        <SeedField chat={chat} />
        <WordsField chat={chat} name="system" />
        <WordsField chat={chat} name="stop" />
        <TemplateField chat={chat} card={card} />
        <button type="button" class="text-button" onClick={() => chat.setSettings(DEFAULT_SETTINGS)}>
          {TEXTS.parameters.reset}
        </button>
      </div>
    </>
  );
}

function SeedField({ chat }: Props): JSX.Element {
  const { label, hint } = TEXTS.parameters.seed;
  const set = (seed: number): void => {
    const isSeed = Number.isInteger(seed) && seed >= 0 && seed <= MAX_SEED;
    chat.setSettings({ ...chat.settings.peek(), seed: isSeed ? seed : null });
  };
  return (
    <div class="field">
      <label for="seed">{label}</label>
      <input
        id="seed"
        type="number"
        min="0"
        max={MAX_SEED}
        step="1"
        value={chat.settings.value.seed ?? ""}
        aria-describedby="seed-hint"
        onInput={(event) => set(event.currentTarget.valueAsNumber)}
      />
      <small id="seed-hint">{hint}</small>
    </div>
  );
}

function WordsField({ chat, name }: Props & { readonly name: "system" | "stop" }): JSX.Element {
  const { label, hint } = TEXTS.parameters[name];
  const { system, stop } = chat.settings.value;
  const set = (text: string): void => {
    const settings = chat.settings.peek();
    const stops = text.split("\n").filter(Boolean).slice(0, MAX_STOPS);
    chat.setSettings(name === "stop" ? { ...settings, stop: stops } : { ...settings, system: text || null });
  };
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <textarea
        id={name}
        rows={name === "stop" ? 1 : 2}
        value={name === "stop" ? stop.join("\n") : (system ?? "")}
        aria-describedby={`${name}-hint`}
        onChange={(event) => set(event.currentTarget.value)}
      />
      <small id={`${name}-hint`}>{hint}</small>
    </div>
  );
}

/** Shows nothing for a model that accepts only its own template. */
function TemplateField({ chat, card }: PanelProps): JSX.Element | null {
  const { label, hint, own } = TEXTS.parameters.template;
  const { conversation, conversation_templates: names = [] } = card ?? {};
  if (conversation === undefined || names.length < 2) return null;
  return (
    <div class="field">
      <label for="template">{label}</label>
      <select
        id="template"
        value={chat.settings.value.template ?? ""}
        aria-describedby="template-hint"
        onChange={({ currentTarget: { value } }) =>
          chat.setSettings({ ...chat.settings.peek(), template: value === "" ? null : value })
        }
      >
        <option value="">{own(conversation)}</option>
        {names
          .filter((name) => name !== conversation)
          .map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
      </select>
      <small id="template-hint">{hint}</small>
    </div>
  );
}

function Slider({ chat, name }: Props & { readonly name: RangedSetting }): JSX.Element {
  const { label, hint } = TEXTS.parameters[name];
  const { min, max, step } = RANGES[name];
  const value = chat.settings.value[name];
  const set = (text: string): void => chat.setSettings({ ...chat.settings.peek(), [name]: Number(text) });
  return (
    <div class="slider">
      <label for={name}>{label}</label>
      <output for={name}>{step < 1 ? value.toFixed(2) : value}</output>
      <input
        id={name}
        type="range"
        {...{ min, max, step, value }}
        aria-describedby={`${name}-hint`}
        onInput={(event) => set(event.currentTarget.value)}
      />
      <small id={`${name}-hint`}>{hint}</small>
    </div>
  );
}
