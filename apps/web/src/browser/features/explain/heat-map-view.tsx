/** Shows an occlusion map over its image with a colour scale, and as a table. */
import type { OcclusionMapResult } from "@llava/protocol/browser";
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

import type { App } from "../../state/app.ts";
import type { ImageRef } from "../../services/store/records.ts";
import { StoredImage } from "../../images/stored-image.tsx";
import { TEXTS } from "../../ui/texts.ts";
import { colourOf, sharesOf } from "./colour-scale.ts";

interface Props {
  readonly app: App;
  readonly image: ImageRef;
  readonly word: string | null;
  /** The computed map; null shows the image alone. */
  readonly map: OcclusionMapResult | null;
}

const FIRST_STRENGTH = 0.65;
/** Fall of the log-probability, nats, below which a word hardly depends on the image. */
const FAINT = 0.1;

export function HeatMapView({ app, image, word, map }: Props): JSX.Element {
  const strength = useSignal(FIRST_STRENGTH);
  const most = map === null ? 0 : mostOf(map);
  return (
    <div class="heat-view">
      <span class="overlaid heat-image">
        <StoredImage image={image} urls={app.urls} alt={image.alt ?? image.name} />
        {map && <Overlay map={map} strength={strength.value} />}
      </span>
      {map && word !== null && (
        <>
          <p class="heat-verdict">
            {most < FAINT ? TEXTS.heatMap.faint(word) : TEXTS.heatMap.verdict(word, placeOf(map))}
          </p>
          <div class="heat-scale">
            <span>{TEXTS.heatMap.nothing}</span>
            <Scale />
            <span>{TEXTS.heatMap.most(most)}</span>
          </div>
          <label class="heat-strength">
            {TEXTS.heatMap.strength}{" "}
            <input
              type="range"
              min="0"
              max="1"
              step="0.05"
              value={strength.value}
              onInput={({ currentTarget }) => (strength.value = currentTarget.valueAsNumber)}
            />
          </label>
          <details class="heat-table">
            <summary>{TEXTS.heatMap.asTable}</summary>
            <Table map={map} />
          </details>
        </>
      )}
    </div>
  );
}

/** Covers the image pixel by pixel; the model's square may lie within it or extend beyond it. */
function Overlay({
  map,
  strength,
}: {
  readonly map: OcclusionMapResult;
  readonly strength: number;
}): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { width, height } = map;
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const { box } = map;
    context.clearRect(0, 0, width, height);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(cellsOf(map), box.x, box.y, box.width, box.height);
  }, [map]);
  return (
    <canvas
      ref={canvas}
      class="heat-overlay"
      style={{ opacity: strength }}
      {...{ width, height }}
      aria-hidden="true"
    />
  );
}

/** A canvas with one pixel for each cell, between whose centres the browser interpolates. */
function cellsOf({ values }: OcclusionMapResult): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = values[0]?.length ?? 1;
  canvas.height = values.length;
  const context = canvas.getContext("2d");
  for (const [row, shares] of sharesOf(values).entries())
    for (const [column, share] of shares.entries()) {
      if (context === null || values[row]?.[column] === null) continue;
      context.fillStyle = `rgb(${colourOf(share).join(" ")})`;
      context.fillRect(column, row, 1, 1);
    }
  return canvas;
}

const SCALE_STEPS = 64;

function Scale(): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    for (let at = 0; at < SCALE_STEPS; at++) {
      context.fillStyle = `rgb(${colourOf(at / (SCALE_STEPS - 1)).join(" ")})`;
      context.fillRect(at, 0, 1, 1);
    }
  }, []);
  return <canvas ref={canvas} class="heat-colours" width={SCALE_STEPS} height={1} aria-hidden="true" />;
}

function Table({ map: { values } }: { readonly map: OcclusionMapResult }): JSX.Element {
  return (
    <div class="heat-scroll" tabIndex={0} role="group" aria-label={TEXTS.heatMap.table}>
      <table>
        <caption class="unseen">{TEXTS.heatMap.table}</caption>
        <thead>
          <tr>
            <td />
            {values[0]?.map((_, column) => (
              <th key={column} scope="col">
                {TEXTS.heatMap.column(column + 1)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {values.map((row, index) => (
            <tr key={index}>
              <th scope="row">{TEXTS.heatMap.row(index + 1)}</th>
              {row.map((value, column) => (
                <td key={column}>{value === null ? "–" : value.toFixed(2)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function mostOf({ values }: OcclusionMapResult): number {
  return Math.max(0, ...values.flat().map((value) => value ?? 0));
}

/** Centre of the cell with the greatest value, in shares of the image from 0 to 1. */
function placeOf({ values, edges, box, width, height }: OcclusionMapResult): {
  readonly x: number;
  readonly y: number;
} {
  const cells = values.flatMap((row, y) => row.map((value, x) => ({ x, y, value: value ?? -Infinity })));
  const best = cells.reduce((most, each) => (each.value > most.value ? each : most));
  const middle = (at: number): number => ((edges[at] ?? 0) + (edges[at + 1] ?? 1)) / 2;
  return {
    x: (box.x + middle(best.x) * box.width) / width,
    y: (box.y + middle(best.y) * box.height) / height,
  };
}
