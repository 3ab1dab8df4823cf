// Sliders for how the photo and the map are shown; remembered by the browser.

import type { Adjust, Side } from "../view_types";
import { NEUTRAL } from "../views/tone";
import { element } from "./dom";
import { remember, remembered } from "./settings";

const START: Record<Side, Adjust> = { photo: { ...NEUTRAL, opacity: 0.7 }, map: NEUTRAL };

const SLIDERS: { name: keyof Adjust; label: string; least: number; most: number }[] = [
  { name: "opacity", label: "Opacity", least: 0, most: 1 },
  { name: "brightness", label: "Brightness", least: 0.2, most: 5 },
  { name: "contrast", label: "Contrast", least: 0.2, most: 5 },
  { name: "gamma", label: "Gamma", least: 0.3, most: 3 },
];

export function adjustBox(apply: (side: Side, adjust: Adjust) => void) {
  const now = remembered<Record<Side, Adjust>>("adjust", START);
  const showing: (() => void)[] = [];

  function set(side: Side, adjust: Partial<Adjust>): void {
    now[side] = { ...now[side], ...adjust };
    for (const show of showing) show();
    apply(side, now[side]);
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
      oninput: () => set(side, { [name]: Number(input.value) }),
    });
    const output = element("output", { attributes: { for: id } });
    showing.push(() => {
      input.value = String(now[side][name]);
      output.value = now[side][name].toFixed(2);
    });
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
  set("photo", {});
  set("map", {});
  return {
    element: box,
    /** Of the photo over the map. */
    changeOpacity: (step: number) => set("photo", { opacity: Math.min(1, Math.max(0, now.photo.opacity + step)) }),
    toggle: () => {
      box.hidden = !box.hidden;
      if (!box.hidden) box.querySelector("input")?.focus();
    },
  };
}
