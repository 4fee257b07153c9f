/** Shows the workers, their figures and the latest events of the cluster; loaded when the user opens it. */
import { SERIES_NAMES } from "@llava/protocol/browser";
import type { Cluster, ClusterEvent, SeriesName } from "@llava/protocol/browser";
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";

import type { App } from "../../state/app.ts";
import "../../styles/cluster.css";
import { TEXTS } from "../../ui/texts.ts";
import { Chart } from "./chart.tsx";
import type { ChartName } from "./chart.tsx";
import { ClusterState } from "./cluster-state.ts";
import { figure } from "./figures.ts";
import { sentenceOf } from "./event-sentence.ts";
import { PendingTable } from "./pending-table.tsx";
import { WorkersTable } from "./workers-table.tsx";

interface Props {
  readonly app: App;
}

const CHARTS = Object.keys(TEXTS.cluster.charts) as readonly ChartName[];
/** Age in seconds above which the figures are marked as old. */
const FRESH_S = 3;

export function ClusterPage({ app }: Props): JSX.Element {
  const state = useMemo(() => new ClusterState(), []);
  useEffect(() => state.follow(app.cluster), [app, state]);
  const cluster = state.shown.value;
  return (
    <main class="scroll" id="cluster" tabIndex={-1}>
      <div class="column cluster">
        <div class="cluster-head">
          <h2>{TEXTS.cluster.title}</h2>
          {cluster && <Freshness state={state} />}
        </div>
        <p class="unseen" role="status">
          {state.announcement}
        </p>
        {cluster === undefined && <p class="soft">{TEXTS.cluster.connecting}</p>}
        {cluster === null && <p class="soft">{TEXTS.cluster.hidden}</p>}
        {cluster && <Whole cluster={cluster} />}
      </div>
    </main>
  );
}

function Freshness({ state }: { readonly state: ClusterState }): JSX.Element {
  const { isPaused, ageS } = state;
  const isOld = ageS.value > FRESH_S;
  const word = isOld ? TEXTS.cluster.age(ageS.value) : TEXTS.cluster.live;
  return (
    <>
      <span class="freshness" data-old={isOld || isPaused.value}>
        {isPaused.value ? `${TEXTS.cluster.paused}, ${word}` : word}
      </span>
      <button type="button" class="text-button" onClick={() => (isPaused.value = !isPaused.value)}>
        {isPaused.value ? TEXTS.cluster.resume : TEXTS.cluster.pause}
      </button>
    </>
  );
}

function Whole({ cluster }: { readonly cluster: Cluster }): JSX.Element {
  const window = useSignal<SeriesName>("5m");
  return (
    <>
      <Totals cluster={cluster} />
      <fieldset class="cluster-window">
        <legend class="unseen">{TEXTS.cluster.window}</legend>
        {SERIES_NAMES.map((name) => (
          <label key={name}>
            <input
              type="radio"
              name="cluster-window"
              checked={window.value === name}
              onChange={() => (window.value = name)}
            />
            <span>{TEXTS.cluster.windows[name]}</span>
          </label>
        ))}
      </fieldset>
      <div class="charts">
        {CHARTS.map((name) => (
          <Chart key={name} name={name} series={cluster.series[window.value]} window={window.value} />
        ))}
      </div>
      <h3>{TEXTS.cluster.workers}</h3>
      <WorkersTable workers={cluster.workers} />
      <h3>{TEXTS.cluster.pending.title}</h3>
      <PendingTable pending={cluster.unanswered} />
      <h3>{TEXTS.cluster.events}</h3>
      <Events events={cluster.events} />
    </>
  );
}

function Totals({ cluster: { workers, totals } }: { readonly cluster: Cluster }): JSX.Element {
  const words = TEXTS.cluster.totals;
  const numDraining = workers.filter(({ state }) => state === "draining").length;
  const seconds = (value: number | null): string =>
    value === null ? figure(null) : TEXTS.cluster.seconds(figure(value));
  const rows = [
    [words.running, figure(totals.running)],
    [words.waiting, figure(totals.waiting)],
    [words.speed, figure(totals.tokens_per_s)],
    [words.firstWord, seconds(totals.first_word_p50_s)],
    [words.firstWord95, seconds(totals.first_word_p95_s)],
    [words.errors, figure(totals.errors)],
  ] as const;
  return (
    <div class="cluster-totals">
      <p>{words.workers(workers.length - numDraining, numDraining)}</p>
      <dl>
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function Events({ events }: { readonly events: readonly ClusterEvent[] }): JSX.Element {
  if (events.length === 0) return <p class="soft">{TEXTS.cluster.noEvents}</p>;
  return (
    <ol class="cluster-events">
      {events.map((event) => (
        <li key={event.id} data-kind={event.kind}>
          <time dateTime={new Date(event.time_ms).toISOString()}>
            {new Date(event.time_ms).toLocaleTimeString()}
          </time>{" "}
          {sentenceOf(event)}
        </li>
      ))}
    </ol>
  );
}
