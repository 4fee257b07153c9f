/** Shows the actions on an answer that has ended. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";

import type { App } from "../../state/app.ts";
import type { MessageNode } from "../../state/chat/message-node.ts";
import type { AnswerState, AssistantMessage } from "../../services/store/records.ts";
import { copyText } from "../../ui/copy-text.ts";
import {
  CopyIcon,
  FlagIcon,
  ContinueIcon,
  ExplainIcon,
  RetryIcon,
  ThumbDownIcon,
  UpIcon,
} from "../../ui/icons.tsx";
import type { HeatMapProps } from "../explain/heat-map.tsx";
import { lazily } from "../../ui/lazy.tsx";
import { TEXTS } from "../../ui/texts.ts";

interface Props {
  readonly app: App;
  readonly node: MessageNode;
  readonly message: AssistantMessage;
  readonly state: AnswerState;
  readonly isLast: boolean;
  /** Whether there is an image in this question or an earlier one. */
  readonly hasImage: boolean;
}

const HeatMap = lazily<HeatMapProps>(async () => (await import("../explain/heat-map.tsx")).HeatMap);

export function AnswerActions({ app, node, message, state, isLast, hasImage }: Props): JSX.Element {
  const isMapOpen = useSignal(false);
  const isCopied = useSignal(false);
  const copy = (): void => void copyText(node.text.peek(), (is) => (isCopied.value = is));
  const judge = (judgement: "up" | "down" | "flag") => () =>
    void app.chat.judge(node.id, judgement).catch(() => undefined);
  return (
    <>
      <div class="actions">
        {isLast && isCutShort(state) && node.text.value !== "" && app.can("continue_final_message") && (
          <Action
            label={TEXTS.turn.continueAnswer}
            isOff={!app.canAsk.value}
            onClick={() => void app.continueAnswer(node.id)}
          >
            <ContinueIcon />
          </Action>
        )}
        {node.text.value !== "" && (
          <Action label={isCopied.value ? TEXTS.turn.copied : TEXTS.turn.copy} onClick={copy}>
            <CopyIcon />
          </Action>
        )}
        {hasImage && node.text.value !== "" && app.can("occlusion_maps") && (
          <Action label={TEXTS.heatMap.open} onClick={() => (isMapOpen.value = true)}>
            <ExplainIcon />
          </Action>
        )}
        {state.kind === "finished" && (
          <>
            <Action
              label={TEXTS.turn.regenerate}
              isOff={!app.canAsk.value}
              onClick={() => void app.regenerate(node.id)}
            >
              <RetryIcon />
            </Action>
            <Action label={TEXTS.turn.up} isOn={message.vote === "up"} onClick={judge("up")}>
              <UpIcon />
            </Action>
            <Action label={TEXTS.turn.down} isOn={message.vote === "down"} onClick={judge("down")}>
              <ThumbDownIcon />
            </Action>
            <Action
              label={message.isFlagged ? TEXTS.turn.flagged : TEXTS.turn.flag}
              isOn={message.isFlagged}
              isOff={message.isFlagged}
              onClick={judge("flag")}
            >
              <FlagIcon />
            </Action>
          </>
        )}
      </div>
      {isMapOpen.value && <HeatMap app={app} messageId={node.id} onClose={() => (isMapOpen.value = false)} />}
    </>
  );
}

/** Whether the answer may have ended before it was complete. */
function isCutShort(state: AnswerState): boolean {
  return state.kind === "finished" ? state.reason === "length" : state.kind !== "sending";
}

interface ActionProps {
  readonly label: string;
  readonly onClick: () => void;
  readonly isOn?: boolean;
  readonly isOff?: boolean;
  readonly children: ComponentChildren;
}

function Action({ label, onClick, isOn, isOff = false, children }: ActionProps): JSX.Element {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      disabled={isOff}
      {...(isOn === undefined ? {} : { "aria-pressed": isOn })}
      onClick={onClick}
    >
      {children}
    </button>
  );
}
