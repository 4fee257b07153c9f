/** Shows the conversations of this browser by day, with search; in a drawer on a narrow page. */
import { useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import type { Conversation } from "../../services/store/records.ts";
import { CloseIcon, ClusterIcon, CompareIcon, EditIcon, NewChatIcon, TrashIcon } from "../../ui/icons.tsx";
import { pathOf } from "../../state/router.ts";
import { TEXTS } from "../../ui/texts.ts";
import { byDay } from "./days.ts";
import { TransferButtons } from "./transfer-buttons.tsx";

interface Props {
  readonly app: App;
  readonly isOpen: Signal<boolean>;
}

export function Sidebar({ app, isOpen }: Props): JSX.Element {
  const { conversations } = app;
  const shown = conversations.shown.value;
  return (
    <nav class="sidebar" aria-label={TEXTS.shell.conversations}>
      <div class="sidebar-top">
        <button type="button" class="new-chat" onClick={() => app.newChat()}>
          <NewChatIcon /> {TEXTS.shell.newChat}
        </button>
        <button
          type="button"
          class="round-button drawer-only"
          aria-label={TEXTS.shell.closeList}
          onClick={() => (isOpen.value = false)}
        >
          <CloseIcon />
        </button>
      </div>
      <label class="unseen" for="search">
        {TEXTS.shell.search}
      </label>
      <input
        id="search"
        class="search"
        type="search"
        placeholder={TEXTS.shell.search}
        value={conversations.query}
        onInput={(event) => void conversations.search(event.currentTarget.value)}
      />
      <div class="conversation-list">
        {shown.length === 0 && (
          <p class="list-empty">
            {conversations.query.value === "" ? TEXTS.shell.none : TEXTS.shell.nothingFound}
          </p>
        )}
        {byDay(shown, Date.now()).map(({ day, items }) => (
          <section key={day} aria-label={TEXTS.shell.days[day]}>
            <h2>{TEXTS.shell.days[day]}</h2>
            <ul>
              {items.map((conversation) => (
                <Row key={conversation.id} app={app} conversation={conversation} isOpen={isOpen} />
              ))}
            </ul>
          </section>
        ))}
      </div>
      <div class="page-links">
        <PageLink app={app} isOpen={isOpen} kind="compare" />
        <PageLink app={app} isOpen={isOpen} kind="cluster" />
      </div>
      <TransferButtons app={app} />
      <Usage app={app} />
    </nav>
  );
}

function Row({ app, conversation, isOpen }: Props & { readonly conversation: Conversation }): JSX.Element {
  const isRenaming = useSignal(false);
  const { id, title } = conversation;
  const isCurrent = app.chat.conversation.value?.id === id;
  const shownTitle = title || TEXTS.shell.untitled;
  const open = (event: MouseEvent): void => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    isOpen.value = false;
    app.router.go({ kind: "chat", id });
  };
  const rename = (text: string): void => {
    isRenaming.value = false;
    void app.conversations.rename(id, text);
  };
  if (isRenaming.value)
    return (
      <li class="conversation">
        <input
          class="rename"
          aria-label={TEXTS.shell.rename}
          defaultValue={title}
          ref={(input) => input?.focus()}
          onKeyDown={(event) => {
            if (event.key === "Enter") rename(event.currentTarget.value);
            if (event.key === "Escape") isRenaming.value = false;
          }}
          onBlur={(event) => isRenaming.peek() && rename(event.currentTarget.value)}
        />
      </li>
    );
  return (
    <li class="conversation">
      <a
        href={pathOf({ kind: "chat", id })}
        onClick={open}
        {...(isCurrent ? { "aria-current": "page" } : {})}
      >
        {shownTitle}
      </a>
      <button
        type="button"
        aria-label={`${TEXTS.shell.rename}: ${shownTitle}`}
        onClick={() => (isRenaming.value = true)}
      >
        <EditIcon />
      </button>
      <button
        type="button"
        aria-label={`${TEXTS.shell.delete}: ${shownTitle}`}
        onClick={() => app.deleteConversation(id)}
      >
        <TrashIcon />
      </button>
    </li>
  );
}

function PageLink({ app, isOpen, kind }: Props & { readonly kind: "compare" | "cluster" }): JSX.Element {
  const isHere = app.router.route.value.kind === kind;
  return (
    <a
      class="page-link"
      href={pathOf({ kind })}
      {...(isHere ? { "aria-current": "page" } : {})}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        isOpen.value = false;
        app.router.go({ kind });
      }}
    >
      {kind === "compare" ? <CompareIcon /> : <ClusterIcon />} {TEXTS[kind].link}
    </a>
  );
}

function Usage({ app }: { readonly app: App }): JSX.Element | null {
  const bytes = useSignal<number | null>(null);
  const number = app.conversations.shown.value.length;
  useEffect(() => {
    void app.store.usage().then((found) => (bytes.value = found));
  }, [number]);
  if (bytes.value === null) return null;
  return <p class="usage">{TEXTS.shell.stored((bytes.value / 1e6).toFixed(1))}</p>;
}
