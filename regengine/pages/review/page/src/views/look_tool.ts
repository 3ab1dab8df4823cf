// The tool "place" in the photo: the map that is drawn into it is taken and dragged. The limb tilts
// the camera; with the limb in the photo, anything else turns it over the nadir.

import type { Coordinate } from "ol/coordinate";
import type MapBrowserEvent from "ol/MapBrowserEvent";
import { grabbed } from "../geometry/aim";
import { ecefToPixel, pixelToLonLat } from "../geometry/camera";
import { limbPoints, turnedOver, withLimbAt } from "../geometry/horizon";
import type { Camera } from "../types";
import { addCameraDrag } from "./place_tool";
import { pixelToPlane, planeToPixel, type Pixel } from "./pixel_plane";
import type { Stage } from "./stage";

const REACH_PX = 16;
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
    const far = before !== null && Math.hypot(to[0] - before[0], to[1] - before[1]) > least;
    return (far && withLimbAt(camera, [before, to])) || withLimbAt(camera, [to]);
  };
  const letGo = addCameraDrag(
    stage,
    (camera, event) => {
      const pixel = planeToPixel(event.coordinate);
      const limb = limbInside(camera);
      limbHeld = limb.some((each) => away(event, each) <= REACH_PX);
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
