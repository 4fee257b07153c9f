/** Describes an event of the cluster in a sentence. */
import type { ClusterEvent } from "@llava/protocol/browser";

import { TEXTS } from "../../ui/texts.ts";

export function sentenceOf(event: ClusterEvent): string {
  const { sentences } = TEXTS.cluster;
  switch (event.kind) {
    case "joined":
      return sentences.joined(shortName(event.worker), event.models.join(", "));
    case "lost":
      return sentences.lost(shortName(event.worker), sentences.losses[event.reason]);
    case "left":
    case "back":
    case "draining":
    case "ready":
      return sentences[event.kind](shortName(event.worker));
    case "breaker":
      return sentences.breaker[event.state](shortName(event.worker));
    case "moved":
      return sentences.moved(event.model, shortName(event.worker), shortName(event.to));
    case "quarantined":
      return sentences.quarantined(event.model);
  }
}

/** The worker's address without the scheme that all addresses share. */
export function shortName(address: string): string {
  return address.replace(/^http:\/\//, "");
}
