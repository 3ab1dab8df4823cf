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
import type { Stage } from "./stage";

const REACH_PX = 16;
const LIMB_POINTS = 1440;
const APART = 0.15; // of the photo's longer side: farther, two places of the limb say how it lies

export function createLookTool({ map, work, events }: Stage) {
  let held: { grip: (to: Pixel) => Camera | null; limb: boolean; last: Camera | null } | null = null;
  /** Where the limb was put last, and the camera that has it there. */
  let anchor: { pixel: Pixel; camera: Camera } | null = null;
  /** The limb goes along; where it was put before, it stays. */
  const tilt = (camera: Camera) => {
    const before = anchor?.camera === camera ? anchor.pixel : null;
    return (to: Pixel): Camera | null => {
      const least = APART * Math.max(camera.width_px, camera.height_px);
      const far = before !== null && Math.hypot(to[0] - before[0], to[1] - before[1]) > least;
      return (far && withLimbAt(camera, [before, to])) || withLimbAt(camera, [to]);
    };
  };
  const gripAt = (camera: Camera, event: MapBrowserEvent): typeof held => {
    const pixel = planeToPixel(event.coordinate);
    const limb = limbInside(camera);
    if (limb.some((each) => away(event, each) <= REACH_PX)) return { grip: tilt(camera), limb: true, last: null };
    if (limb.length > 0) return { grip: (to) => turnedOver(camera, pixel, to), limb: false, last: null };
    const place = pixelToLonLat(camera, ...pixel);
    return place && { grip: (to) => grabbed(camera, to, place), limb: false, last: null };
  };
  map.addInteraction(
    new PointerInteraction({
      handleDownEvent(event) {
        const camera = work.tool === "place" ? work.camera : null;
        held = camera && (event.originalEvent as PointerEvent).button <= 0 ? gripAt(camera, event) : null;
        return held !== null;
      },
      handleDragEvent(event) {
        const camera = held?.grip(planeToPixel(event.coordinate));
        if (!held || !camera) return;
        held.last = camera;
        events.placed(camera, false);
      },
      handleUpEvent(event) {
        const [limb, last] = [held?.limb, held?.last];
        held = null;
        if (!last) return false;
        if (limb) anchor = { pixel: planeToPixel(event.coordinate), camera: last };
        // A turn over the nadir leaves the limb where it is
        else if (anchor) anchor.camera = last;
        events.placed(last, true);
        return false;
      },
    }),
  );
  return {
    letGo(): void {
      held = anchor = null;
    },
  };
}

/** Where the limb lies in the photo, in its plane. */
function limbInside(camera: Camera): Coordinate[] {
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
