// One panel for all that lies in the views: what is shown, how opaque, and how bright photo and map
// are; remembered by the browser.

import { type Adjust, type LayerName, LAYERS, type LayerState, type Side } from "../types";
import type { Views } from "../views";
import { NEUTRAL } from "../views/tone";
import { remember, remembered } from "./browser";
import { element, folded, quiet } from "./dom";

const START: Record<Side, Adjust> = { photo: { ...NEUTRAL, opacity: 0.7 }, map: NEUTRAL };
const SHOWN: LayerState = { on: true, opacity: 1 };

const TITLES: Record<Side, string> = { photo: "Photo over the map", map: "Map" };
const NAMES: Record<LayerName, string> = {
  coast: "Coast, borders, lakes",
  names: "Towns",
  track: "Ground track and visible ground",
  outline: "Outline of the photo",
};
const TONES: { name: keyof Adjust; label: string; least: number; most: number }[] = [
  { name: "brightness", label: "Brightness", least: 0.2, most: 5 },
  { name: "contrast", label: "Contrast", least: 0.2, most: 5 },
  { name: "gamma", label: "Gamma", least: 0.3, most: 3 },
];

/** Its controls are what lies under everything, and what is drawn from one view into the other. */
export function layersBox({ setAdjust, setLayer, controls }: Pick<Views, "setAdjust" | "setLayer" | "controls">) {
  const now = remembered<Record<Side, Adjust>>("adjust", START);
  const layers = remembered<Record<LayerName, LayerState>>("layers", { coast: SHOWN, names: SHOWN, track: SHOWN, outline: SHOWN });
  const showing: (() => void)[] = [];

  function set(side: Side, values: Partial<Adjust>): void {
    now[side] = { ...now[side], ...values };
    for (const show of showing) show();
    setAdjust(side, now[side]);
    remember("adjust", now);
  }

  function changeLayer(name: LayerName, state: Partial<LayerState>): void {
    layers[name] = { ...layers[name], ...state };
    for (const show of showing) show();
    setLayer(name, layers[name]);
    remember("layers", layers);
  }

  /** A slider with its number, after its label or box. */
  function slider(id: string, label: HTMLElement, [least, most]: [number, number], value: () => number, changed: (value: number) => void): HTMLElement {
    const input = element("input", { id, type: "range", min: String(least), max: String(most), step: "0.05", oninput: () => changed(Number(input.value)) });
    const output = element("output", { attributes: { for: id } });
    showing.push(() => {
      input.value = String(value());
      output.value = value().toFixed(2);
    });
    if (!(label instanceof HTMLLabelElement) || label.htmlFor === "") input.setAttribute("aria-label", `Opacity: ${label.textContent}`);
    return element("div", { className: "slider" }, label, input, output);
  }

  const opacity = (side: Side): HTMLElement =>
    slider(`${side}-opacity`, element("label", { htmlFor: `${side}-opacity` }, TITLES[side]), [0, 1], () => now[side].opacity, (value) => set(side, { opacity: value }));

  const overlay = (name: LayerName): HTMLElement => {
    const box = element("input", { id: `layer-${name}`, type: "checkbox", onchange: () => changeLayer(name, { on: box.checked }) });
    showing.push(() => (box.checked = layers[name].on));
    return slider(`${name}-opacity`, element("label", { className: "check" }, box, NAMES[name]), [0, 1], () => layers[name].opacity, (value) => changeLayer(name, { opacity: value }));
  };

  const tones = (side: Side, title: string): HTMLElement =>
    folded(
      `${side}-tones`,
      title,
      ...TONES.map(({ name, label, least, most }) =>
        slider(`${side}-${name}`, element("label", { htmlFor: `${side}-${name}` }, label), [least, most], () => now[side][name], (value) => set(side, { [name]: value })),
      ),
      quiet("Reset", () => set(side, START[side])),
    );

  const box = element(
    "div",
    { id: "layers", hidden: true, attributes: { role: "group", "aria-label": "Layers" } },
    element("div", { className: "controls" }, ...controls),
    element("p", { className: "hint" }, "Visible layers and their opacity:"),
    opacity("photo"),
    opacity("map"),
    ...LAYERS.map(overlay),
    tones("photo", "Brightness of the photo"),
    tones("map", "Brightness of the map"),
  );
  set("photo", {});
  set("map", {});
  for (const name of LAYERS) changeLayer(name, {});
  return {
    element: box,
    /** Of the photo over the map. */
    changeOpacity: (step: number) => set("photo", { opacity: Math.min(1, Math.max(0, now.photo.opacity + step)) }),
    toggle: () => {
      box.hidden = !box.hidden;
      if (!box.hidden) box.querySelector<HTMLElement>("button:not([hidden]), input")?.focus();
    },
  };
}
