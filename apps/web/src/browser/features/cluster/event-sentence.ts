/** What an event of the cluster says. */
import type { ClusterEvent } from "@llava/protocol/browser";

import { TEXTS } from "../../ui/texts.ts";

export function sentenceOf(event: ClusterEvent): string {
  const { said } = TEXTS.cluster;
  switch (event.kind) {
    case "joined":
      return said.joined(shortName(event.worker), event.models.join(", "));
    case "lost":
      return said.lost(shortName(event.worker), said.losses[event.reason]);
    case "left":
    case "back":
    case "draining":
    case "ready":
      return said[event.kind](shortName(event.worker));
    case "breaker":
      return said.breaker[event.state](shortName(event.worker));
    case "moved":
      return said.moved(event.model, shortName(event.worker), shortName(event.to));
    case "quarantined":
      return said.quarantined(event.model);
  }
}

/** An address without what all of them have. */
export function shortName(address: string): string {
  return address.replace(/^http:\/\//, "");
}
