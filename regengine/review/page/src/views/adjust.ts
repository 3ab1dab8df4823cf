// Brightness, contrast and gamma of whole layers: a table of tones that the browser applies.

import type BaseLayer from "ol/layer/Base";
import type RenderEvent from "ol/render/Event";
import type { Adjust, Side } from "../view_types";
import { colourOf, isPlain, PLAIN, toneTable, type Stretch, type Tint } from "./tone";

const SVG = "http://www.w3.org/2000/svg";
const NEUTRAL: Adjust = { opacity: 1, brightness: 1, contrast: 1, gamma: 1 };

export interface Adjuster {
  /** Have a layer of this side follow its adjustment; it needs a class name of its own. */
  follow(side: Side, layer: BaseLayer, opacity: boolean): void;
  /** Have a layer follow the opacity of this side alone. */
  fade(side: Side, layer: BaseLayer): void;
  /** Have an element follow it. */
  filter(side: Side, element: HTMLElement, opacity: boolean): void;
  set(side: Side, adjust: Adjust): void;
  setStretch(side: Side, stretch: Stretch): void;
  setTint(tint: Tint): void;
}

const GREY = `${"0.4 0.4 0.2 0 0 ".repeat(3)}0 0 0 1 0`;

interface Tones {
  adjust: Adjust;
  stretch: Stretch;
  /** Of CSS; empty where nothing is to change, since a filter costs time. */
  filter: string;
  layers: { layer: BaseLayer; opacity: boolean }[];
  elements: { element: HTMLElement; opacity: boolean }[];
  draw(table: number[], tint: Tint): void;
}

export function createAdjuster(host: HTMLElement): Adjuster {
  const tones: Record<Side, Tones> = { photo: tonesOf("photo", host), map: tonesOf("map", host) };
  let tint: Tint = "own";
  const refresh = (side: Side) => {
    const { adjust, stretch, layers, elements, draw } = tones[side];
    const same = side === "photo" && tint === "own" && isPlain(stretch, adjust);
    if (!same) draw(toneTable(stretch, adjust), tint);
    tones[side].filter = same ? "" : `url(#view-tone-${side})`;
    for (const { element, opacity } of elements) {
      element.style.filter = tones[side].filter;
      if (opacity) element.style.opacity = String(adjust.opacity);
    }
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
    fade: (side, layer) => void tones[side].layers.push({ layer, opacity: true }),
    filter(side, element, opacity) {
      tones[side].elements.push({ element, opacity });
      refresh(side);
    },
    set(side, adjust) {
      tones[side].adjust = adjust;
      refresh(side);
    },
    setStretch(side, stretch) {
      tones[side].stretch = stretch;
      refresh(side);
    },
    setTint(next) {
      tint = next;
      refresh("photo");
      refresh("map");
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
  const grey = make("feColorMatrix");
  grey.setAttribute("type", "matrix");
  grey.setAttribute("values", GREY);
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
    draw(table, tint) {
      const colours = table.map((level) => colourOf(side, tint, level));
      channels.forEach((channel, i) => {
        channel.setAttribute("tableValues", colours.map((colour) => colour[i]!.toFixed(4)).join(" "));
      });
      if (side === "photo" && tint === "apart") filter.prepend(grey);
      else grey.remove();
    },
  };
}
