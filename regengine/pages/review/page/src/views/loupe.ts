// The loupe: what lies under a point that is dragged, enlarged, beside the hand that hides it.

import type { Coordinate } from "ol/coordinate";
import type OlMap from "ol/Map";
import { element } from "../work/dom";

export const LOUPE_PX = 150;
const TIMES = 4;
const BESIDE_PX = 30; // from the point to the loupe's edge

/** Draws around a coordinate, in the middle of the canvas, so many times larger than on the screen. */
export type DrawLoupe = (context: CanvasRenderingContext2D, at: Coordinate, times: number) => void;

/** Without `draw`, what is on the screen is enlarged. */
export function createLoupe(map: OlMap, draw?: DrawLoupe) {
  const canvas = element("canvas", { width: LOUPE_PX, height: LOUPE_PX });
  const loupe = element("div", { className: "view-loupe", hidden: true, attributes: { "aria-hidden": "true" } }, canvas);
  map.getTargetElement()!.append(loupe);
  let at: Coordinate | null = null;
  const refresh = () => {
    const on = at && (map.getPixelFromCoordinate(at) as [number, number] | null);
    if (!at || !on) return;
    const [x, y] = on;
    const [width] = map.getSize() ?? [0];
    const room = LOUPE_PX + BESIDE_PX;
    // Above on the right, where there is room; never under the hand
    const left = x + room < width! ? x + BESIDE_PX : x - room;
    const top = y - room > 0 ? y - room : y + BESIDE_PX;
    loupe.style.transform = `translate(${left}px, ${top}px)`;
    const context = canvas.getContext("2d")!;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, LOUPE_PX, LOUPE_PX);
    if (draw) draw(context, at, TIMES);
    else enlarged(map, context, x, y);
  };
  map.on("postrender", refresh);
  return {
    /** null: nothing is dragged. */
    show(next: Coordinate | null): void {
      const first = at === null;
      at = next;
      loupe.hidden = next === null;
      if (first) refresh(); // then each time that the point is drawn
    },
  };
}

function enlarged(map: OlMap, context: CanvasRenderingContext2D, x: number, y: number): void {
  const box = map.getViewport()!.getBoundingClientRect();
  context.setTransform(TIMES, 0, 0, TIMES, LOUPE_PX / 2 - TIMES * x, LOUPE_PX / 2 - TIMES * y);
  const canvases = map.getViewport()!.querySelectorAll<HTMLCanvasElement>(".view-base canvas, .view-online canvas");
  for (const each of Array.from(canvases)) {
    const { left, top, width, height } = each.getBoundingClientRect();
    if (each.width > 0 && width > 0) context.drawImage(each, left - box.left, top - box.top, width, height);
  }
}
