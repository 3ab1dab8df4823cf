// The tool "place". On the map, pointer and keyboard move, turn and zoom the photo over it, by its handles,
// too: round ones turn, square ones zoom. In the photo, the map that is drawn into it is taken and dragged:
// the limb tilts the camera; with the limb in the photo, anything else turns it over the nadir.

import { type Coordinate, distance } from "ol/coordinate";
import PointerInteraction from "ol/interaction/Pointer";
import type MapBrowserEvent from "ol/MapBrowserEvent";
import { clamp, toDegrees } from "ol/math";
import RegularShape from "ol/style/RegularShape";
import Style from "ol/style/Style";
import { grabbed, turned, zoomed } from "../geometry/aim";
import { ecefToPixel, insidePhoto, lonLatToPixel, pixelToLonLat } from "../geometry/camera";
import { limbPoints, turnedOver, withLimbAt } from "../geometry/horizon";
import type { Camera } from "../types";
import { groundMiddle } from "./ground";
import { nearestCopy, type Pixel, pixelToPlane, planeToPixel, toLonLat, toMercator } from "./planes";
import { circle, createMarks, pointFeature } from "./marks";
import type { Stage } from "./stage";

const REACH_PX = 16;
const PULLED = { turn: turnedTowards, zoom: zoomedTowards };
const STEP = { px: 10, deg: 2, factor: 1.02 };

const round = circle(8, { color: "#10141b", width: 2 }, "#ffb454");
const [fill, stroke] = [round.getFill()!, round.getStroke()!];
const STYLES: Record<Handle["kind"], Style> = {
  turn: new Style({ image: round }),
  zoom: new Style({ image: new RegularShape({ points: 4, radius: 9, angle: Math.PI / 4, fill, stroke }) }),
};

export function createPlaceTool(stage: Stage) {
  const { map, host, work, events } = stage;
  /** null while another tool is in hand, or there is nothing to move. */
  const camera = () => (work.tool === "place" ? work.camera : null);
  const marks = createMarks(true, { zIndex: 60, style: (feature) => STYLES[feature.get("kind") as Handle["kind"]] });
  map.addLayer(marks.layer);
  const handleAt = (now: Camera, event: MapBrowserEvent): Handle | undefined => {
    const distance = ({ at }: Handle) => screenPx(event, stage.near(at, event.coordinate));
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
    refresh(): void {
      const now = camera();
      if (work.tool !== "place") letGo(); // what was begun would go on in another frame
      marks.show(now ? handles(now).map(({ kind, at }) => pointFeature(at, { kind })) : []);
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

export interface Handle {
  kind: "turn" | "zoom";
  pixel: Pixel;
  at: Coordinate;
}

/** Corners turn the photo, the middles of its edges zoom; those that show the sky are left out. */
export function handles(camera: Camera): Handle[] {
  const [right, lower] = [camera.width_px - 1, camera.height_px - 1];
  const corners: Pixel[] = [[0, 0], [right, 0], [right, lower], [0, lower]];
  const edges: Pixel[] = [[right / 2, 0], [right, lower / 2], [right / 2, lower], [0, lower / 2]];
  const found: Handle[] = [];
  for (const [kind, pixels] of [["turn", corners], ["zoom", edges]] as const) {
    for (const pixel of pixels) {
      const at = onMap(camera, pixel);
      if (at) found.push({ kind, pixel, at });
    }
  }
  return found;
}

/** The pixel of the photo that lies under a place of the map; null beside the photo. */
export function pixelUnder(camera: Camera, at: Coordinate): Pixel | null {
  const pixel = lonLatToPixel(camera, ...toLonLat(at));
  return pixel && insidePhoto(camera, pixel) ? pixel : null;
}

export function movedTo(camera: Camera, pixel: Pixel, at: Coordinate): Camera | null {
  return grabbed(camera, pixel, toLonLat(at));
}

/** The camera turned about the photo's middle so that a pixel lies in the direction of a place. */
export function turnedTowards(camera: Camera, pixel: Pixel, at: Coordinate): Camera | null {
  return approached(camera, pixel, at, (now, pivot, is, wanted) => {
    const angle = Math.atan2(wanted[0]!, wanted[1]!) - Math.atan2(is[0]!, is[1]!);
    return turned(now, pivot, toDegrees(Math.atan2(Math.sin(angle), Math.cos(angle))));
  });
}

/** The camera zoomed about the photo's middle so that a pixel lies as far out as a place. */
export function zoomedTowards(camera: Camera, pixel: Pixel, at: Coordinate): Camera | null {
  return approached(camera, pixel, at, (now, pivot, is, wanted) => {
    const factor = Math.hypot(...is) / Math.max(1, Math.hypot(...wanted));
    const focal_px = now.focal_px * clamp(factor, 0.5, 2);
    return zoomed(now, pivot, focal_px);
  });
}

const TRIES = 8; // the map bends what turns evenly in space

function approached(
  camera: Camera,
  pixel: Pixel,
  at: Coordinate,
  step: (now: Camera, pivot: Pixel, is: Coordinate, wanted: Coordinate) => Camera,
): Camera | null {
  const about = groundMiddle(camera);
  if (!about) return null;
  const pivot = toMercator(about.place);
  let now = camera;
  for (let i = 0; i < TRIES; i++) {
    const seen = onMap(now, pixel);
    if (!seen) return i > 0 ? now : null;
    now = step(now, about.pixel, away(seen, pivot), away(at, pivot));
  }
  return now;
}

function away(at: Coordinate, pivot: Coordinate): Coordinate {
  const near = nearestCopy(at, pivot[0]!);
  return [near[0]! - pivot[0]!, near[1]! - pivot[1]!];
}

function onMap(camera: Camera, [x, y]: Pixel): Coordinate | null {
  const place = pixelToLonLat(camera, x, y);
  return place && toMercator(place);
}

const LIMB_POINTS = 1440;
const APART = 0.15; // of the photo's longer side: farther, two places of the limb say how it lies

/** Gives what lets go of what is held. */
export function createLookTool(stage: Stage): () => void {
  let limbHeld = false;
  /** Where the limb was put last, and the camera that has it there. */
  let anchor: { pixel: Pixel; camera: Camera } | null = null;
  /** The limb goes along; where it was put before, it stays. */
  const tilted = (camera: Camera, to: Pixel): Camera | null => {
    const before = anchor?.camera === camera ? anchor.pixel : null;
    const least = APART * Math.max(camera.width_px, camera.height_px);
    const far = before !== null && distance(to, before) > least;
    return (far && withLimbAt(camera, [before, to])) || withLimbAt(camera, [to]);
  };
  const letGo = addCameraDrag(
    stage,
    (camera, event) => {
      const pixel = planeToPixel(event.coordinate);
      const limb = limbPoints(camera.position_ecef_m, LIMB_POINTS).flatMap((point) => {
        const pixel = ecefToPixel(camera, point);
        return pixel && insidePhoto(camera, pixel) ? [pixelToPlane(pixel)] : [];
      });
      limbHeld = limb.some((each) => screenPx(event, each) <= REACH_PX);
      if (limbHeld) return (at) => tilted(camera, planeToPixel(at));
      if (limb.length > 0) return (at) => turnedOver(camera, pixel, planeToPixel(at));
      const place = pixelToLonLat(camera, ...pixel);
      return place && ((at) => grabbed(camera, planeToPixel(at), place));
    },
    (camera, at) => {
      // A turn over the nadir leaves the limb where it is
      const pixel = limbHeld ? planeToPixel(at) : anchor?.pixel;
      anchor = pixel ? { pixel, camera } : null;
    },
  );
  return () => {
    letGo();
    anchor = null;
  };
}

function screenPx(event: MapBrowserEvent, at: Coordinate): number {
  return distance(event.map.getPixelFromCoordinate(at), event.pixel);
}
