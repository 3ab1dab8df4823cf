// The photo as a plane of OpenLayers: a unit is a pixel, X to the right, Y up, (0, 0) the upper
// left corner of the upper left pixel. Pixels are counted at their centres, as the records do. A photo
// that is stored mirrored lies in it as it was held: X then runs from its right edge.

import type { Coordinate } from "ol/coordinate";
import Projection from "ol/proj/Projection";

export type Pixel = [number, number];

/** Width of the photo in view where it is stored mirrored, else null. */
let mirrored_px: number | null = null;

/** Another photo is in view, with this EXIF orientation. */
export function usePlane(width_px: number, orientation: number): void {
  mirrored_px = [2, 4, 5, 7].includes(orientation) ? width_px : null;
}

export function pixelToPlane([x, y]: Pixel): Coordinate {
  return [mirrored_px === null ? x + 0.5 : mirrored_px - x - 0.5, -(y + 0.5)];
}

export function planeToPixel([x, y]: Coordinate): Pixel {
  return [(mirrored_px === null ? x! : mirrored_px - x!) - 0.5, -y! - 0.5];
}

export function pixelProjection(width_px: number, height_px: number): Projection {
  return new Projection({ code: "photo", units: "pixels", extent: [0, -height_px, width_px, 0] });
}

/** Turn (clockwise) that shows the plane of an image of this EXIF orientation upright. */
export function uprightTurn(orientation: number): number {
  const quarters: Record<number, number> = { 3: 2, 4: 2, 5: 3, 6: 1, 7: 1, 8: 3 };
  return ((quarters[orientation] ?? 0) * Math.PI) / 2;
}
