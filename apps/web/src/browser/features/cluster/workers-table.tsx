/** Shows the workers in a table that can be sorted by each column. */
import type { WorkerView } from "@llava/protocol/browser";
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";

import { TEXTS } from "../../ui/texts.ts";
import { duration, figure } from "./figures.ts";
import { shortName } from "./event-sentence.ts";

type Column = keyof typeof TEXTS.cluster.columns;

const COLUMNS = Object.keys(TEXTS.cluster.columns) as readonly Column[];
/** Age in seconds of a heartbeat after which two were missed. */
const STALE_S = 31;

const VALUES: Readonly<Record<Column, (worker: WorkerView) => string | number>> = {
  address: ({ address }) => address,
  models: ({ models }) => models.join(", "),
  state: stateOf,
  running: ({ running, in_flight: inFlight }) => Math.max(running ?? 0, inFlight),
  waiting: (worker) => waitingOf(worker) ?? -1,
  speed: (worker) => worker.tokens_per_s ?? -1,
  heartbeat: (worker) => worker.heartbeat_age_s ?? -1,
  uptime: (worker) => worker.uptime_s ?? -1,
};

export function WorkersTable({ workers }: { readonly workers: readonly WorkerView[] }): JSX.Element {
  const column = useSignal<Column>("address");
  const isDown = useSignal(false);
  if (workers.length === 0) return <p class="soft">{TEXTS.cluster.noWorkers}</p>;
  const value = VALUES[column.value];
  const sorted = workers.toSorted((a, b) => compare(value(a), value(b)) * (isDown.value ? -1 : 1));
  const sortBy = (name: Column) => () => {
    isDown.value = column.value === name ? !isDown.value : false;
    column.value = name;
  };
  return (
    <div class="cluster-table workers" tabIndex={0} role="group" aria-label={TEXTS.cluster.workers}>
      <table>
        <thead>
          <tr>
            {COLUMNS.map((name) => (
              <th
                key={name}
                scope="col"
                aria-sort={name !== column.value ? "none" : isDown.value ? "descending" : "ascending"}
              >
                <button type="button" onClick={sortBy(name)}>
                  {TEXTS.cluster.columns[name]}
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map((worker) => (
            <Row key={worker.address} worker={worker} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ worker }: { readonly worker: WorkerView }): JSX.Element {
  const state = stateOf(worker);
  const { in_flight: inFlight, running, max_running: places, heartbeat_age_s: age } = worker;
  const numRunning = Math.max(running ?? 0, Math.min(inFlight, places ?? inFlight));
  return (
    <tr>
      <th scope="row">{shortName(worker.address)}</th>
      <td>{worker.models.join(", ")}</td>
      <td>
        <span class="worker-state" data-state={state}>
          {TEXTS.cluster.states[state]}
        </span>
      </td>
      <td>{places === null ? figure(numRunning) : TEXTS.cluster.of(numRunning, places)}</td>
      <td>{figure(waitingOf(worker))}</td>
      <td>{figure(worker.tokens_per_s)}</td>
      <td>{age === null ? TEXTS.cluster.noHeartbeat : TEXTS.cluster.heartbeatAgo(Math.round(age))}</td>
      <td>{duration(worker.uptime_s)}</td>
    </tr>
  );
}

function waitingOf({ waiting, in_flight: inFlight, max_running: places }: WorkerView): number | null {
  return places === null ? waiting : Math.max(waiting ?? 0, inFlight - places);
}

function stateOf({ state, breaker, heartbeat_age_s: age }: WorkerView): keyof typeof TEXTS.cluster.states {
  if (age !== null && age > STALE_S) return "stale";
  return breaker === "closed" ? state : breaker;
}

function compare(a: string | number, b: string | number): number {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}
