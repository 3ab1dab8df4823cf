// The photo as a plane of OpenLayers: a unit is a pixel, X to the right, Y up, (0, 0) the upper
// left corner of the upper left pixel. Pixels are counted at their centres, as the records do.

import type { Coordinate } from "ol/coordinate";
import Projection from "ol/proj/Projection";

export type Pixel = [number, number];

export function pixelToPlane([x, y]: Pixel): Coordinate {
  return [x + 0.5, -(y + 0.5)];
}

export function planeToPixel(at: Coordinate): Pixel {
  return [at[0]! - 0.5, -at[1]! - 0.5];
}

export function pixelProjection(width_px: number, height_px: number): Projection {
  return new Projection({ code: "photo", units: "pixels", extent: [0, -height_px, width_px, 0] });
}

/** Turns (clockwise) that show an image of this EXIF orientation upright; mirrored ones stay mirrored. */
export function uprightTurn(orientation: number): number {
  const quarters: Record<number, number> = { 3: 2, 4: 2, 5: 3, 6: 1, 7: 1, 8: 3 };
  return ((quarters[orientation] ?? 0) * Math.PI) / 2;
}
