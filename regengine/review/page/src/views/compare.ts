// What lies over each other, told apart by colour: the photo red, the map cyan.

import type OlMap from "ol/Map";
import type { Adjuster } from "./adjust";
import { element } from "../work/dom";
import { toggle } from "./bar";

const LEGEND = "Photo red, map cyan, both white";

export interface Compare {
  /** One for each view; they go together. */
  buttons: HTMLElement[];
  /** Whether something lies over something in this view. */
  use(view: number, on: boolean): void;
}

export function createCompare(views: OlMap[], adjuster: Adjuster): Compare {
  const used = views.map(() => false);
  const legends = views.map((map) => {
    const legend = element("div", { className: "view-legend" }, LEGEND);
    map.getTargetElement()?.append(legend);
    return legend;
  });
  const refresh = (apart: boolean) => {
    adjuster.setTint(apart && used.includes(true) ? "apart" : "own");
    views.forEach((_, i) => {
      toggles[i]!.press(apart);
      toggles[i]!.element.hidden = !used[i];
      legends[i]!.hidden = !(used[i] && apart);
    });
  };
  const toggles = views.map(() => toggle("Difference", `Tell photo and map apart: ${LEGEND.toLowerCase()}`, false, refresh));
  refresh(false);
  return {
    buttons: toggles.map((each) => each.element),
    use(view, on) {
      if (used[view] === on) return;
      used[view] = on;
      refresh(toggles[view]!.pressed());
    },
  };
}
