// How what lies over each other is compared: both at once, one wiped over the other, one after the
// other, or told apart by colour.

import type BaseLayer from "ol/layer/Base";
import type RenderEvent from "ol/render/Event";
import { getRenderPixel } from "ol/render";
import type OlMap from "ol/Map";
import type { Adjuster } from "./adjust";

const WAYS = { both: "Both at once", swipe: "Swipe", blink: "Blink", apart: "Difference" } as const;
type Way = keyof typeof WAYS;

const BLINK_MS = 700; // each half: slower than what harms (three flashes a second)
const STEP = 0.02; // of the width, by a key
const LEGEND = "Photo red, map cyan, both white";

export interface Compare {
  /** One for each view. */
  choosers: HTMLSelectElement[];
  /** Whether something lies over something in this view. */
  use(view: number, on: boolean): void;
}

/** `over`: in each view, the map and the layer that lies over the rest. */
export function createCompare(
  views: { map: OlMap; layer: BaseLayer }[],
  adjuster: Adjuster,
  /** Whether what blinks is hidden. */
  hide: (hidden: boolean) => void,
): Compare {
  let way: Way = "both";
  let timer = 0;
  let hidden = false;
  const used = views.map(() => false);
  const blink = (next: boolean) => {
    hidden = next;
    hide(next);
  };
  const swipes = views.map(({ map, layer }) => createSwipe(map, layer));
  const legends = views.map(({ map }) => {
    const legend = document.createElement("div");
    legend.className = "view-legend";
    legend.textContent = LEGEND;
    map.getTargetElement()?.append(legend);
    return legend;
  });
  const refresh = () => {
    const any = used.some((each) => each);
    window.clearInterval(timer);
    if (hidden) blink(false);
    if (any && way === "blink") timer = window.setInterval(() => blink(!hidden), BLINK_MS);
    adjuster.setTint(any && way === "apart" ? "apart" : "own");
    views.forEach((_, i) => {
      swipes[i]!.use(used[i]! && way === "swipe");
      legends[i]!.hidden = !(used[i]! && way === "apart");
      choosers[i]!.hidden = !used[i];
      choosers[i]!.value = way;
    });
  };
  const choosers = views.map(() => {
    const chooser = document.createElement("select");
    chooser.setAttribute("aria-label", "Compare");
    chooser.title = "How photo and map are compared";
    chooser.append(...Object.entries(WAYS).map(([value, text]) => new Option(text, value)));
    chooser.addEventListener("change", () => {
      way = chooser.value as Way;
      refresh();
    });
    return chooser;
  });
  refresh();
  return {
    choosers,
    use(view, on) {
      if (used[view] === on) return;
      used[view] = on;
      refresh();
    },
  };
}

/** A line that is dragged over the view: the layer is drawn on its left. */
function createSwipe(map: OlMap, layer: BaseLayer): { use(on: boolean): void } {
  let on = false;
  let share = 0.5;
  const host = map.getTargetElement()!;
  const line = document.createElement("div");
  line.className = "view-swipe";
  line.tabIndex = 0;
  line.setAttribute("role", "slider");
  line.setAttribute("aria-label", "Swipe");
  line.setAttribute("aria-valuemin", "0");
  line.setAttribute("aria-valuemax", "100");
  const move = (to: number) => {
    share = Math.min(1, Math.max(0, to));
    line.style.left = `${100 * share}%`;
    line.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    layer.changed();
  };
  line.addEventListener("pointerdown", (event) => {
    line.setPointerCapture(event.pointerId);
    event.stopPropagation();
  });
  line.addEventListener("pointermove", (event) => {
    if (!line.hasPointerCapture(event.pointerId)) return;
    const { left, width } = host.getBoundingClientRect();
    move((event.clientX - left) / width);
  });
  line.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    move(share + step);
  });
  host.append(line);
  // As OpenLayers' own example does it: what is drawn is clipped
  layer.on("prerender" as "change", (event) => {
    const render = event as unknown as RenderEvent;
    const context = render.context as CanvasRenderingContext2D;
    context.save();
    if (!on) return;
    const [width, height] = map.getSize() as [number, number];
    const corners = [[0, 0], [width * share, 0], [width * share, height], [0, height]];
    context.beginPath();
    corners.forEach((corner, i) => {
      const [x, y] = getRenderPixel(render, corner) as [number, number];
      if (i === 0) context.moveTo(x, y);
      else context.lineTo(x, y);
    });
    context.closePath();
    context.clip();
  });
  layer.on("postrender" as "change", (event) => {
    ((event as unknown as RenderEvent).context as CanvasRenderingContext2D).restore();
  });
  move(share);
  return {
    use(next) {
      on = next;
      line.hidden = !on;
      layer.changed();
    },
  };
}
