// Brightness, contrast and gamma of whole layers: a table of tones that the browser applies.

import type BaseLayer from "ol/layer/Base";
import type RenderEvent from "ol/render/Event";
import type { Adjust, Side } from "../view_types";
import { PLAIN, toneTable, type Stretch } from "./tone";

const SVG = "http://www.w3.org/2000/svg";
const NEUTRAL: Adjust = { opacity: 1, brightness: 1, contrast: 1, gamma: 1 };
// The map's lights are blue, so that one sees whether the photo's, white and yellow, lie on them.
const TINTS: Record<Side, readonly number[]> = { photo: [1, 1, 1], map: [0.3, 0.62, 1] };

export interface Adjuster {
  /** Have a layer of this side follow its adjustment; it needs a class name of its own. */
  follow(side: Side, layer: BaseLayer, opacity: boolean): void;
  /** Have an element follow it. */
  filter(side: Side, element: HTMLElement): void;
  set(side: Side, adjust: Adjust): void;
  setStretch(side: Side, stretch: Stretch): void;
}

interface Tones {
  adjust: Adjust;
  stretch: Stretch;
  /** Of CSS; empty where nothing is to change, since a filter costs time. */
  filter: string;
  layers: { layer: BaseLayer; opacity: boolean }[];
  elements: HTMLElement[];
  setTable(table: number[]): void;
}

export function createAdjuster(host: HTMLElement): Adjuster {
  const tones: Record<Side, Tones> = { photo: tonesOf("photo", host), map: tonesOf("map", host) };
  const refresh = (side: Side) => {
    const { adjust, stretch, layers, elements, setTable } = tones[side];
    const table = toneTable(stretch, adjust);
    if (table) setTable(table);
    tones[side].filter = table ? `url(#view-tone-${side})` : "";
    for (const element of elements) element.style.filter = tones[side].filter;
    for (const { layer, opacity } of layers) {
      if (opacity) layer.setOpacity(adjust.opacity);
      layer.changed();
    }
  };
  return {
    follow(side, layer, opacity) {
      tones[side].layers.push({ layer, opacity });
      layer.on("postrender" as "change", (event) => {
        const canvas = ((event as unknown as RenderEvent).context as CanvasRenderingContext2D).canvas;
        const box = canvas.parentElement ?? canvas;
        if (box.style.filter !== tones[side].filter) box.style.filter = tones[side].filter;
      });
    },
    filter: (side, element) => void tones[side].elements.push(element),
    set(side, adjust) {
      tones[side].adjust = adjust;
      refresh(side);
    },
    setStretch(side, stretch) {
      tones[side].stretch = stretch;
      refresh(side);
    },
  };
}

function tonesOf(side: Side, host: HTMLElement): Tones {
  const make = (name: string) => document.createElementNS(SVG, name) as SVGElement;
  const svg = make("svg");
  svg.setAttribute("class", "view-filters");
  svg.setAttribute("aria-hidden", "true");
  const filter = make("filter");
  filter.setAttribute("id", `view-tone-${side}`);
  filter.setAttribute("color-interpolation-filters", "sRGB");
  const transfer = make("feComponentTransfer");
  const channels = ["feFuncR", "feFuncG", "feFuncB"].map(make);
  for (const channel of channels) channel.setAttribute("type", "table");
  transfer.append(...channels);
  filter.append(transfer);
  svg.append(filter);
  host.append(svg);
  return {
    adjust: NEUTRAL,
    stretch: PLAIN,
    filter: "",
    layers: [],
    elements: [],
    setTable(table) {
      channels.forEach((channel, i) => {
        const values = table.map((value) => (value * TINTS[side][i]!).toFixed(4));
        channel.setAttribute("tableValues", values.join(" "));
      });
    },
  };
}
