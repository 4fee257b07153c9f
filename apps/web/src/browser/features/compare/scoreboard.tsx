/** Shows the scores of the models over all rounds, with confidence intervals. */
import type { JSX } from "preact";

import { saveFile } from "../../ui/save-file.ts";
import { TEXTS } from "../../ui/texts.ts";
import type { Round } from "../../services/store/round.ts";
import { scoresOf, voteLine } from "./scores.ts";

/** Number of votes below which the scores are marked as uncertain. */
const ENOUGH = 30;

export function Scoreboard({ rounds }: { readonly rounds: readonly Round[] }): JSX.Element | null {
  const scores = scoresOf(rounds);
  const judged = rounds.filter(({ vote }) => vote !== null);
  if (judged.length === 0) return null;
  const download = (): void => {
    const file = new Blob([judged.map((round) => `${voteLine(round)}\n`).join("")], {
      type: "application/jsonl",
    });
    saveFile(file, "votes.jsonl");
  };
  return (
    <section class="scoreboard" aria-labelledby="scores-title">
      <h3 id="scores-title">{TEXTS.compare.scores}</h3>
      {scores.length > 0 && (
        <div class="table-scroll" tabIndex={0} role="region" aria-label={TEXTS.compare.scores}>
          <table>
            <thead>
              <tr>
                {TEXTS.compare.columns.map((column) => (
                  <th key={column} scope="col">
                    {column}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {scores.map(({ model, wins, ties, losses, share, interval }) => (
                <tr key={model}>
                  <th scope="row">{model}</th>
                  <td>{wins}</td>
                  <td>{ties}</td>
                  <td>{losses}</td>
                  <td>{percent(share)}</td>
                  <td>
                    {percent(interval.low)} – {percent(interval.high)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {judged.length < ENOUGH && <p class="soft">{TEXTS.compare.few(judged.length, ENOUGH)}</p>}
      <button type="button" class="text-button" onClick={download}>
        {TEXTS.compare.download}
      </button>
    </section>
  );
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
