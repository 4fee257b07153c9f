/** Shows the requests that wait for their first word, the oldest first. */
import type { ClusterUnanswered } from "@llava/protocol/browser";
import type { JSX } from "preact";

import { TEXTS } from "../../ui/texts.ts";
import { duration } from "./figures.ts";
import { shortName } from "./event-sentence.ts";

const WORDS = TEXTS.cluster.pending;

export function PendingTable({ pending }: { readonly pending: ClusterUnanswered }): JSX.Element {
  const { total, oldest } = pending;
  if (total === 0) return <p class="soft">{WORDS.none}</p>;
  return (
    <div class="cluster-table" tabIndex={0} role="group" aria-label={WORDS.title}>
      <table>
        <thead>
          <tr>
            {Object.entries(WORDS.columns).map(([name, title]) => (
              <th key={name} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {oldest.map(({ model, worker, stream, waited_s: waitedS }, index) => (
            <tr key={index}>
              <th scope="row">{model}</th>
              <td>{duration(waitedS)}</td>
              <td>{shortName(worker)}</td>
              <td>{stream ? WORDS.stream : WORDS.whole}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {total > oldest.length && <p class="soft">{WORDS.more(total - oldest.length)}</p>}
    </div>
  );
}
