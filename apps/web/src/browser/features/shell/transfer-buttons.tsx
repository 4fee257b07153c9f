/** Shows the buttons that export conversations to files and import them. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import { saveFile } from "../../ui/save-file.ts";
import { TEXTS } from "../../ui/texts.ts";

interface Props {
  readonly app: App;
}

export function TransferButtons({ app }: Props): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const problem = useSignal<string | null>(null);
  const conversation = app.chat.conversation.value;
  const exportEverything = async (): Promise<void> => {
    const { exportAll } = await import("./conversation-export.ts");
    saveFile(await exportAll(app.store), "conversations.json");
  };
  const exportOpen = async (): Promise<void> => {
    const last = app.chat.path.peek().at(-1);
    if (conversation === null || last === undefined) return;
    const { toMarkdown } = await import("./conversation-export.ts");
    const title = conversation.title || TEXTS.shell.untitled;
    saveFile(toMarkdown(title, app.chat.messagesTo(last.node.id)), "conversation.md");
  };
  const importChosen = async (file: File | undefined): Promise<void> => {
    if (file === undefined) return;
    problem.value = null;
    const { importFile } = await import("./conversation-export.ts");
    try {
      const number = await importFile(file, app.store);
      await app.conversations.load();
      app.status.value = TEXTS.transfer.imported(number);
    } catch (thrown) {
      problem.value = thrown instanceof Error ? thrown.message : TEXTS.transfer.failed;
    }
  };
  return (
    <div class="transfer">
      {app.conversations.number > 0 && (
        <button type="button" class="text-button" onClick={() => void exportEverything()}>
          {TEXTS.transfer.exportAll}
        </button>
      )}
      {conversation !== null && (
        <button type="button" class="text-button" onClick={() => void exportOpen()}>
          {TEXTS.transfer.exportOpen}
        </button>
      )}
      <button type="button" class="text-button" onClick={() => input.current?.click()}>
        {TEXTS.transfer.import}
      </button>
      <input
        ref={input}
        type="file"
        accept="application/json,.json"
        hidden
        onChange={(event) => {
          void importChosen(event.currentTarget.files?.[0]);
          event.currentTarget.value = "";
        }}
      />
      {problem.value !== null && <p class="usage problem">{problem}</p>}
    </div>
  );
}
