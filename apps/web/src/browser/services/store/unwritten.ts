/** Keeps the records that the database did not accept for as long as the page is open; they replace the stored ones. */
import type { Conversation, Message } from "./records.ts";
import type { Round } from "./round.ts";
import type { Database } from "./database.ts";

export class Unwritten {
  readonly conversations = new Map<string, Conversation>();
  readonly messages = new Map<string, Message>();
  readonly rounds = new Map<string, Round>();
  readonly images = new Map<string, Blob>();

  get isEmpty(): boolean {
    return [this.conversations, this.messages, this.rounds, this.images].every(({ size }) => size === 0);
  }

  /** Removes a conversation and its messages. */
  delete(conversationId: string): void {
    this.conversations.delete(conversationId);
    for (const message of this.messages.values())
      if (message.conversationId === conversationId) this.messages.delete(message.id);
  }

  /** Writes the records in turn, until one is refused. */
  async writeTo(database: Database): Promise<void> {
    await writeAll(this.conversations, (value) => database.put("conversations", value));
    await writeAll(this.messages, (value) => database.put("messages", value));
    await writeAll(this.rounds, (value) => database.put("rounds", value));
    await writeAll(this.images, (value, key) => database.put("images", value, key));
  }
}

/** The stored values, with the unwritten ones in place of those with the same id. */
export function withUnwritten<Value extends { readonly id: string }>(
  stored: readonly Value[] | undefined,
  unwritten: ReadonlyMap<string, Value>,
): readonly Value[] {
  if (unwritten.size === 0) return stored ?? [];
  return [...new Map([...(stored ?? []).map((value) => [value.id, value] as const), ...unwritten]).values()];
}

async function writeAll<Value>(
  values: Map<string, Value>,
  write: (value: Value, key: string) => Promise<unknown>,
): Promise<void> {
  for (const [key, value] of values) {
    await write(value, key);
    // A newer value may have replaced it during the write.
    if (values.get(key) === value) values.delete(key);
  }
}
