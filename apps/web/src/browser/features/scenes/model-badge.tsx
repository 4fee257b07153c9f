/** Shows a model's size, its accuracy in its own test and its limits, quoted from its card. */
import type { ModelCard } from "@llava/protocol/browser";
import type { JSX } from "preact";

import { modelFacts } from "../../state/models/model-facts.ts";
import type { Accuracy } from "../../state/models/model-facts.ts";
import { TEXTS } from "../../ui/texts.ts";

const { badge } = TEXTS.scenes;

/** Shows nothing for a model whose card states none of these. */
export function ModelBadge({ card }: { readonly card: ModelCard }): JSX.Element | null {
  const { parameters, isForDrawingsOnly, total, kinds } = modelFacts(card.card);
  const words = [
    ...(parameters === null ? [] : [badge.parameters(parameters)]),
    ...(total === null ? [] : [badge.accuracy(Math.round(total.percent))]),
    ...(isForDrawingsOnly ? [badge.drawingsOnly] : []),
  ];
  if (words.length === 0) return null;
  return (
    <div class="model-badge">
      <p>{words.join(" · ")}</p>
      {kinds.length > 0 && (
        <details>
          <summary>{badge.details}</summary>
          <table>
            <thead>
              <tr>
                {badge.columns.map((column) => (
                  <th key={column} scope="col">
                    {column}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {kinds.map((kind) => (
                <Row key={kind.name} {...kind} />
              ))}
              {total && <Row {...total} name={badge.all} />}
            </tbody>
          </table>
        </details>
      )}
    </div>
  );
}

function Row({ name, percent, interval, count }: Accuracy): JSX.Element {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>{percent} %</td>
      <td>{interval === null ? badge.count(count) : badge.interval(...interval, count)}</td>
    </tr>
  );
}
