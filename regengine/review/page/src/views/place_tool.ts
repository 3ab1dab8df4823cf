// The tool "place": the pointer and the keyboard move, turn and zoom the photo over the map.

import type { Coordinate } from "ol/coordinate";
import type MapBrowserEvent from "ol/MapBrowserEvent";
import PointerInteraction from "ol/interaction/Pointer";
import { turned, zoomed } from "../geometry/aim";
import type { Camera } from "../types";
import { groundMiddle } from "./ground_middle";
import { nearestCopy, toMercator } from "./mercator";
import { handles, movedTo, pixelUnder, turnedTowards, zoomedTowards, type Handle } from "./placing";
import type { Pixel } from "./pixel_plane";

export interface PlaceHooks {
  /** null while another tool is in hand, or there is nothing to move. */
  camera(): Camera | null;
  onPlaced(camera: Camera, done: boolean): void;
}

type Grip = (camera: Camera, pixel: Pixel, at: Coordinate) => Camera | null;

const REACH_PX = 16;
const GRIPS: Record<Handle["kind"], Grip> = { turn: turnedTowards, zoom: zoomedTowards };

export class PlaceTool extends PointerInteraction {
  private held: { grip: Grip; pixel: Pixel; start: Camera; last: Camera | null } | null = null;

  constructor(private readonly hooks: PlaceHooks) {
    super();
  }

  letGo(): void {
    this.held = null;
  }

  override handleDownEvent(event: MapBrowserEvent): boolean {
    const camera = this.hooks.camera();
    if (!camera || (event.originalEvent as PointerEvent).button > 0) return false;
    const handle = handleAt(camera, event);
    const pixel = handle?.pixel ?? pixelUnder(camera, event.coordinate);
    if (!pixel) return false;
    this.held = { grip: handle ? GRIPS[handle.kind] : movedTo, pixel, start: camera, last: null };
    return true;
  }

  override handleDragEvent(event: MapBrowserEvent): void {
    if (!this.held) return;
    // from the start each time: what is dragged out and back is as it was
    const camera = this.held.grip(this.held.start, this.held.pixel, event.coordinate);
    if (!camera) return;
    this.held.last = camera;
    this.hooks.onPlaced(camera, false);
  }

  override handleUpEvent(): boolean {
    if (this.held?.last) this.hooks.onPlaced(this.held.last, true);
    this.held = null;
    return false;
  }
}

function handleAt(camera: Camera, event: MapBrowserEvent): Handle | null {
  const distance = ({ at }: Handle) => {
    const on = event.map.getPixelFromCoordinate(nearestCopy(at, event.coordinate[0]!));
    return Math.hypot(on[0]! - event.pixel[0]!, on[1]! - event.pixel[1]!);
  };
  const near = handles(camera).filter((handle) => distance(handle) <= REACH_PX);
  near.sort((a, b) => distance(a) - distance(b));
  return near[0] ?? null;
}

const STEP = { px: 10, deg: 2, factor: 1.02 };

/** The camera after a key of the tool; null where the key is none of its own. */
export function placedByKey(
  camera: Camera,
  key: string,
  fine: boolean,
  shifted: (at: Coordinate, dx: number, dy: number) => Coordinate,
): Camera | null {
  const about = groundMiddle(camera);
  if (!about) return null;
  const small = fine ? 0.1 : 1;
  const moved = (dx: number, dy: number) => {
    const step = STEP.px * small;
    return movedTo(camera, about.pixel, shifted(toMercator(about.place), dx * step, dy * step));
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
