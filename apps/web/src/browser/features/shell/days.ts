/** Groups conversations by the days on which they were last used. */
import type { Conversation } from "../../services/store/records.ts";

export type Day = "today" | "yesterday" | "week" | "earlier";

export interface DayGroup {
  readonly day: Day;
  readonly items: readonly Conversation[];
}

const ORDER: readonly Day[] = ["today", "yesterday", "week", "earlier"];

/**
 * Days without conversations are left out. @param nowMs Unix milliseconds; days are those of the browser's time zone
 */
export function byDay(conversations: readonly Conversation[], nowMs: number): readonly DayGroup[] {
  const midnight = new Date(nowMs).setHours(0, 0, 0, 0);
  const daysAgo = (days: number): number => new Date(midnight).setDate(new Date(midnight).getDate() - days);
  const dayOf = ({ updatedMs }: Conversation): Day => {
    if (updatedMs >= midnight) return "today";
    if (updatedMs >= daysAgo(1)) return "yesterday";
    return updatedMs >= daysAgo(6) ? "week" : "earlier";
  };
  return ORDER.map((day) => ({ day, items: conversations.filter((each) => dayOf(each) === day) })).filter(
    ({ items }) => items.length > 0,
  );
}
