// The tool "place" in the photo: the map that is drawn into it is taken and dragged. The limb tilts
// the camera; with the limb in the photo, anything else turns it over the nadir.

import type { Coordinate } from "ol/coordinate";
import type MapBrowserEvent from "ol/MapBrowserEvent";
import PointerInteraction from "ol/interaction/Pointer";
import { grabbed } from "../geometry/aim";
import { ecefToPixel, pixelToLonLat } from "../geometry/camera";
import { limbPoints, turnedOver, withLimbAt } from "../geometry/horizon";
import type { Camera } from "../types";
import { pixelToPlane, planeToPixel, type Pixel } from "./pixel_plane";
import type { PlaceHooks } from "./place_tool";

const REACH_PX = 16;
const LIMB_POINTS = 1440;
const APART = 0.15; // of the photo's longer side: farther, two places of the limb say how it lies

type Grip = (to: Pixel) => Camera | null;

export class LookTool extends PointerInteraction {
  private held: { grip: Grip; limb: boolean; last: Camera | null } | null = null;
  /** Where the limb was put last, and the camera that has it there. */
  private anchor: { pixel: Pixel; camera: Camera } | null = null;

  constructor(private readonly hooks: PlaceHooks) {
    super();
  }

  letGo(): void {
    this.held = this.anchor = null;
  }

  override handleDownEvent(event: MapBrowserEvent): boolean {
    const camera = this.hooks.camera();
    if (!camera || (event.originalEvent as PointerEvent).button > 0) return false;
    const pixel = planeToPixel(event.coordinate);
    const limb = limbInside(camera);
    const at = limb.find((each) => away(event, each) <= REACH_PX);
    if (at) this.held = { grip: this.tilt(camera), limb: true, last: null };
    else if (limb.length > 0) this.held = { grip: (to) => turnedOver(camera, pixel, to), limb: false, last: null };
    else {
      const place = pixelToLonLat(camera, ...pixel);
      if (!place) return false;
      this.held = { grip: (to) => grabbed(camera, to, place), limb: false, last: null };
    }
    return true;
  }

  override handleDragEvent(event: MapBrowserEvent): void {
    const camera = this.held?.grip(planeToPixel(event.coordinate));
    if (!this.held || !camera) return;
    this.held.last = camera;
    this.hooks.onPlaced(camera, false);
  }

  override handleUpEvent(event: MapBrowserEvent): boolean {
    const { held } = this;
    this.held = null;
    if (!held?.last) return false;
    if (held.limb) this.anchor = { pixel: planeToPixel(event.coordinate), camera: held.last };
    // A turn over the nadir leaves the limb where it is
    else if (this.anchor) this.anchor.camera = held.last;
    this.hooks.onPlaced(held.last, true);
    return false;
  }

  /** The limb goes along; where it was put before, it stays. */
  private tilt(camera: Camera): Grip {
    const before = this.anchor?.camera === camera ? this.anchor.pixel : null;
    return (to) => {
      const least = APART * Math.max(camera.width_px, camera.height_px);
      const far = before !== null && Math.hypot(to[0] - before[0], to[1] - before[1]) > least;
      return (far && withLimbAt(camera, [before, to])) || withLimbAt(camera, [to]);
    };
  }
}

/** Where the limb lies in the photo, in its plane. */
export function limbInside(camera: Camera): Coordinate[] {
  return limbPoints(camera.position_ecef_m, LIMB_POINTS).flatMap((point) => {
    const pixel = ecefToPixel(camera, point);
    const inside =
      pixel !== null && pixel[0] > -1 && pixel[1] > -1 && pixel[0] < camera.width_px && pixel[1] < camera.height_px;
    return inside ? [pixelToPlane(pixel)] : [];
  });
}

/** Distance on the screen. */
function away(event: MapBrowserEvent, at: Coordinate): number {
  const on = event.map.getPixelFromCoordinate(at);
  return Math.hypot(on[0]! - event.pixel[0]!, on[1]! - event.pixel[1]!);
}
