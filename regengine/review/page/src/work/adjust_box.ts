// Sliders for how the photo and the map are shown; remembered by the browser.

import type { Adjust, Side } from "../view_types";
import { element } from "./dom";
import { remember, remembered } from "./settings";

const NEUTRAL: Adjust = { opacity: 1, brightness: 1, contrast: 1, gamma: 1 };
const START: Record<Side, Adjust> = { photo: { ...NEUTRAL, opacity: 0.7 }, map: NEUTRAL };

const SLIDERS: { name: keyof Adjust; label: string; least: number; most: number }[] = [
  { name: "opacity", label: "Opacity", least: 0, most: 1 },
  { name: "brightness", label: "Brightness", least: 0.2, most: 5 },
  { name: "contrast", label: "Contrast", least: 0.2, most: 5 },
  { name: "gamma", label: "Gamma", least: 0.3, most: 3 },
];

export interface AdjustBox {
  element: HTMLElement;
  /** Of the photo over the map. */
  changeOpacity(step: number): void;
  toggle(): void;
}

export function adjustBox(apply: (side: Side, adjust: Adjust) => void): AdjustBox {
  const now = remembered<Record<Side, Adjust>>("adjust", START);
  const fields: { side: Side; name: keyof Adjust; input: HTMLInputElement; output: HTMLOutputElement }[] = [];

  function set(side: Side, adjust: Adjust): void {
    now[side] = adjust;
    for (const each of fields) {
      if (each.side !== side) continue;
      each.input.value = String(adjust[each.name]);
      each.output.value = adjust[each.name].toFixed(2);
    }
    apply(side, adjust);
    remember("adjust", now);
  }

  function slider(side: Side, { name, label, least, most }: (typeof SLIDERS)[number]): HTMLElement {
    const id = `${side}-${name}`;
    const input = element("input", {
      id,
      type: "range",
      min: String(least),
      max: String(most),
      step: "0.05",
      oninput: () => set(side, { ...now[side], [name]: Number(input.value) }),
    });
    const output = element("output", { attributes: { for: id } });
    fields.push({ side, name, input, output });
    return element("div", { className: "slider" }, element("label", { htmlFor: id }, label), input, output);
  }

  function group(side: Side, title: string): HTMLElement {
    return element(
      "fieldset",
      {},
      element("legend", {}, title),
      ...SLIDERS.map((each) => slider(side, each)),
      element("button", { type: "button", className: "quiet", onclick: () => set(side, START[side]) }, "Back to normal"),
    );
  }

  const box = element("div", { id: "adjust", hidden: true }, group("photo", "Photo"), group("map", "Map"));
  set("photo", now.photo);
  set("map", now.map);
  return {
    element: box,
    changeOpacity: (step) =>
      set("photo", { ...now.photo, opacity: Math.min(1, Math.max(0, now.photo.opacity + step)) }),
    toggle: () => {
      box.hidden = !box.hidden;
      if (!box.hidden) fields[0]?.input.focus();
    },
  };
}
