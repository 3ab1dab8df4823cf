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
import { groundMiddle } from "./ground_middle";
import { toMercator } from "./mercator";
import type { Pixel } from "./pixel_plane";
import { handles, movedTo, pixelUnder, turnedTowards, zoomedTowards, type Handle } from "./placing";
import type { Stage } from "./stage";

type Grip = (camera: Camera, pixel: Pixel, at: Coordinate) => Camera | null;

const REACH_PX = 16;
const GRIPS: Record<Handle["kind"], Grip> = { turn: turnedTowards, zoom: zoomedTowards };
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
  let held: { grip: Grip; pixel: Pixel; start: Camera; last: Camera | null } | null = null;
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
  map.addInteraction(
    new PointerInteraction({
      handleDownEvent(event) {
        const start = camera();
        if (!start || (event.originalEvent as PointerEvent).button > 0) return false;
        const handle = handleAt(start, event);
        const pixel = handle?.pixel ?? pixelUnder(start, event.coordinate);
        held = pixel && { grip: handle ? GRIPS[handle.kind] : movedTo, pixel, start, last: null };
        return held !== null;
      },
      handleDragEvent(event) {
        // from the start each time: what is dragged out and back is as it was
        const moved = held?.grip(held.start, held.pixel, event.coordinate);
        if (!held || !moved) return;
        held.last = moved;
        events.placed(moved, false);
      },
      handleUpEvent() {
        if (held?.last) events.placed(held.last, true);
        held = null;
        return false;
      },
    }),
  );
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
      if (work.tool !== "place") held = null; // what was begun would go on in another frame
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
