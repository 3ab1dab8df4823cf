// What both views have in common: an OpenLayers map that the keyboard reaches, and its points.

import type { Coordinate } from "ol/coordinate";
import { defaults as defaultControls } from "ol/control/defaults";
import { noModifierKeys, targetNotEditable } from "ol/events/condition";
import { defaults as defaultInteractions } from "ol/interaction/defaults";
import KeyboardPan from "ol/interaction/KeyboardPan";
import OlMap from "ol/Map";
import { element } from "../work/dom";
import { createCrossHair, type CrossHair } from "./cross_hair";
import type { Marker } from "./markers";
import { createPointLayer } from "./point_layer";
import { PointTool } from "./point_tool";

export interface StageHooks {
  selected(): number | null;
  adding(): boolean;
  /** Whether the next click here completes a pair: it counts where it is made. */
  awaited(): boolean;
  /** Whether the arrow keys pan: not while they move a point or the photo. */
  panning(): boolean;
  onSelect(index: number | null): void;
  onMove(index: number, at: Coordinate, done: boolean): void;
  onAdd(at: Coordinate): void;
  onConfirm(): void;
  /** null: the pointer has left. */
  onPointer(at: Coordinate | null): void;
}

export interface Stage {
  map: OlMap;
  cross: CrossHair;
  setMarkers(markers: Marker[]): void;
  /** End a drag of a point. */
  letGo(): void;
  /** A coordinate moved by so much on the screen, x right and y down. */
  shifted(at: Coordinate, dx: number, dy: number): Coordinate;
  /** Bring a coordinate into sight where it is not. */
  reveal(at: Coordinate): void;
}

/** Who asked the system for less motion sees views jump where they would glide. */
const STILL = matchMedia("(prefers-reduced-motion: reduce)").matches;
export const SEEK_MS = STILL ? 0 : 150;
const ZOOM_MS = STILL ? 0 : 250;

type NearestCopy = (at: Coordinate, near: Coordinate) => Coordinate;

export function createStage(
  host: HTMLElement,
  hooks: StageHooks,
  wrapX: boolean,
  nearest: NearestCopy,
): Stage {
  host.classList.add("view");
  if (!host.hasAttribute("tabindex")) host.tabIndex = 0;
  const points = createPointLayer(wrapX);
  const cross = createCrossHair();
  let markers: Marker[] = [];
  const map = new OlMap({
    target: host,
    layers: [points.layer],
    overlays: [cross.overlay],
    controls: defaultControls({
      attributionOptions: { collapsible: false },
      rotate: false,
      zoomOptions: { duration: ZOOM_MS },
    }),
    interactions: defaultInteractions({
      doubleClickZoom: false,
      keyboard: true,
      zoomDuration: ZOOM_MS,
    }),
  });
  for (const each of [...map.getInteractions().getArray()]) if (each instanceof KeyboardPan) map.removeInteraction(each);
  map.addInteraction(
    new KeyboardPan({ condition: (event) => hooks.panning() && noModifierKeys(event) && targetNotEditable(event) }),
  );
  const tool = new PointTool({
    ...hooks,
    positions: (near) => markers.map(({ at }) => nearest(at, near)),
    guess: () => markers.find(({ guess }) => guess)?.index ?? null,
  });
  map.addInteraction(tool);
  map.on("pointermove", (event) => hooks.onPointer(event.coordinate));
  host.addEventListener("pointerleave", () => hooks.onPointer(null));
  host.addEventListener("keydown", (event) => {
    const at = map.getView().getCenter();
    if (event.target !== host || !hooks.adding() || !at) return;
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    hooks.onAdd(at);
  });
  const note = element("div", { className: "view-note" });
  host.append(note);
  const sayScale = () => {
    const resolution = map.getView().getResolution();
    const drawn = resolution && markers.some(({ towards }) => towards);
    const factor = drawn ? points.exaggeration(resolution) : 1;
    note.textContent = factor > 1 ? `Residuals drawn ${factor} ×` : "";
  };
  map.on("moveend", sayScale);

  const view = () => map.getView();
  // What is in view, for reports of what went wrong, and for tests
  map.on("postrender", () => {
    const [x, y] = view().getCenter() ?? [];
    if (x !== undefined) host.dataset.view = [x, y, view().getResolution(), view().getRotation()].join(" ");
  });
  return {
    map,
    cross,
    setMarkers(next) {
      markers = next;
      points.set(next);
      sayScale();
    },
    letGo: () => tool.letGo(),
    shifted(at, dx, dy) {
      const resolution = view().getResolution() ?? 1;
      const turn = view().getRotation();
      const [right, up] = [dx * resolution, -dy * resolution];
      return [
        at[0]! + right * Math.cos(turn) + up * -Math.sin(turn),
        at[1]! + right * Math.sin(turn) + up * Math.cos(turn),
      ];
    },
    reveal(at) {
      const near = nearest(at, view().getCenter() ?? at);
      const on = map.getPixelFromCoordinate(near) as Coordinate | null;
      const [width, height] = map.getSize() ?? [0, 0];
      const margin = 16;
      const inside =
        on !== null &&
        on[0]! > margin && on[0]! < width! - margin &&
        on[1]! > margin && on[1]! < height! - margin;
      if (!inside) view().animate({ center: near, duration: SEEK_MS });
    },
  };
}
