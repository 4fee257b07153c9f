/** What one can do with an answer that has ended. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";

import type { App } from "../app.ts";
import type { MessageNode } from "../chat/message-node.ts";
import type { AnswerState, AssistantMessage } from "../chat/types.ts";
import { copyText } from "../copy-text.ts";
import { CopyIcon, FlagIcon, RetryIcon, ThumbDownIcon, UpIcon } from "../icons.tsx";
import { TEXTS } from "../texts.ts";

interface Props {
  readonly app: App;
  readonly node: MessageNode;
  readonly message: AssistantMessage;
  readonly state: AnswerState;
}

export function AnswerActions({ app, node, message, state }: Props): JSX.Element {
  const isCopied = useSignal(false);
  const copy = (): void => void copyText(node.text.peek(), (is) => (isCopied.value = is));
  const judge = (judgement: "up" | "down" | "flag") => () =>
    void app.chat.judge(node.id, judgement).catch(() => undefined);
  return (
    <div class="actions">
      {node.text.value !== "" && (
        <Action label={isCopied.value ? TEXTS.turn.copied : TEXTS.turn.copy} onClick={copy}>
          <CopyIcon />
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
  );
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
