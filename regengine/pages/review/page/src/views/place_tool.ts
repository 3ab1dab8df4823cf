// The tool "place" on the map: pointer and keyboard move, turn and zoom the photo over it, by its
// handles, too: round ones turn, square ones zoom.

import type { Coordinate } from "ol/coordinate";
import Feature from "ol/Feature";
import PointGeometry from "ol/geom/Point";
import PointerInteraction from "ol/interaction/Pointer";
import VectorLayer from "ol/layer/Vector";
import type MapBrowserEvent from "ol/MapBrowserEvent";
import VectorSource from "ol/source/Vector";
import CircleStyle from "ol/style/Circle";
import Fill from "ol/style/Fill";
import RegularShape from "ol/style/RegularShape";
import Stroke from "ol/style/Stroke";
import Style from "ol/style/Style";
import { turned, zoomed } from "../geometry/aim";
import type { Camera } from "../types";
import { groundMiddle } from "./ground";
import { toMercator } from "./mercator";
import { handles, movedTo, pixelUnder, turnedTowards, zoomedTowards, type Handle } from "./placing";
import type { Stage } from "./stage";

const REACH_PX = 16;
const PULLED = { turn: turnedTowards, zoom: zoomedTowards };
const STEP = { px: 10, deg: 2, factor: 1.02 };

const fill = new Fill({ color: "#ffb454" });
const stroke = new Stroke({ color: "#10141b", width: 2 });
const STYLES: Record<Handle["kind"], Style> = {
  turn: new Style({ image: new CircleStyle({ radius: 8, fill, stroke }) }),
  zoom: new Style({ image: new RegularShape({ points: 4, radius: 9, angle: Math.PI / 4, fill, stroke }) }),
};

export function createPlaceTool(stage: Stage) {
  const { map, host, work, events } = stage;
  /** null while another tool is in hand, or there is nothing to move. */
  const camera = () => (work.tool === "place" ? work.camera : null);
  const source = new VectorSource<Feature>({ wrapX: true });
  map.addLayer(
    new VectorLayer({
      source,
      className: "view-marks",
      zIndex: 60,
      updateWhileInteracting: true,
      style: (feature) => STYLES[feature.get("kind") as Handle["kind"]],
    }),
  );
  const handleAt = (now: Camera, event: MapBrowserEvent): Handle | undefined => {
    const distance = ({ at }: Handle) => {
      const on = map.getPixelFromCoordinate(stage.near(at, event.coordinate));
      return Math.hypot(on[0]! - event.pixel[0]!, on[1]! - event.pixel[1]!);
    };
    const near = handles(now).filter((handle) => distance(handle) <= REACH_PX);
    return near.sort((a, b) => distance(a) - distance(b))[0];
  };
  const letGo = addCameraDrag(stage, (start, event) => {
    const handle = handleAt(start, event);
    const pixel = handle?.pixel ?? pixelUnder(start, event.coordinate);
    const moved = handle ? PULLED[handle.kind] : movedTo;
    return pixel && ((at) => moved(start, pixel, at));
  });
  host.addEventListener("keydown", (event) => {
    const now = camera();
    if (!now || event.target !== host || event.ctrlKey || event.altKey || event.metaKey) return;
    const next = placedByKey(now, event.key, event.shiftKey, stage);
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    events.placed(next, true);
  });
  return {
    /** Another camera, or another tool. */
    refresh(): void {
      const now = camera();
      if (work.tool !== "place") letGo(); // what was begun would go on in another frame
      source.clear(true);
      if (!now) return;
      source.addFeatures(handles(now).map(({ kind, at }) => new Feature({ geometry: new PointGeometry(at), kind })));
    },
  };
}

/** The camera after a key of the tool; null where the key is none of its own. */
function placedByKey(camera: Camera, key: string, fine: boolean, stage: Stage): Camera | null {
  const about = groundMiddle(camera);
  if (!about) return null;
  const small = fine ? 0.1 : 1;
  const moved = (dx: number, dy: number) => {
    const step = STEP.px * small;
    return movedTo(camera, about.pixel, stage.shifted(toMercator(about.place), dx * step, dy * step));
  };
  const factor = STEP.factor ** small;
  switch (key) {
    case "ArrowLeft": return moved(-1, 0);
    case "ArrowRight": return moved(1, 0);
    case "ArrowUp": return moved(0, -1);
    case "ArrowDown": return moved(0, 1);
    case ",": case "<": return turned(camera, about.pixel, -STEP.deg * small);
    case ".": case ">": return turned(camera, about.pixel, STEP.deg * small);
    case "[": case "{": return zoomed(camera, about.pixel, camera.focal_px * factor);
    case "]": case "}": return zoomed(camera, about.pixel, camera.focal_px / factor);
    default: return null;
  }
}

/** The camera where the pointer is at a coordinate; null where there is none. */
export type Grip = (at: Coordinate) => Camera | null;

/** Drags that move the camera, from where it was each time: what is dragged out and back is as it was.
 *  `gripAt`: what lies under the pointer, null where nothing can be taken hold of; `moved`: a drag has
 *  ended. Gives what lets go of it. */
export function addCameraDrag(
  { map, work, events }: Stage,
  gripAt: (camera: Camera, event: MapBrowserEvent) => Grip | null,
  moved?: (camera: Camera, at: Coordinate) => void,
): () => void {
  let held: { grip: Grip; last: Camera | null } | null = null;
  map.addInteraction(
    new PointerInteraction({
      handleDownEvent(event) {
        const camera = work.tool === "place" ? work.camera : null;
        const grip = camera && (event.originalEvent as PointerEvent).button <= 0 ? gripAt(camera, event) : null;
        held = grip && { grip, last: null };
        return held !== null;
      },
      handleDragEvent(event) {
        const camera = held?.grip(event.coordinate);
        if (!held || !camera) return;
        held.last = camera;
        events.placed(camera, false);
      },
      handleUpEvent(event) {
        const last = held?.last;
        held = null;
        if (!last) return false;
        moved?.(last, event.coordinate);
        events.placed(last, true);
        return false;
      },
    }),
  );
  return () => (held = null);
}
