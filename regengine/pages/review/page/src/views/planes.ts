// The two planes that are drawn on: Web Mercator (EPSG:3857) with longitudes that run on across the
// antimeridian, and the photo. There a unit is a pixel, X to the right, Y up, (0, 0) the upper left corner
// of the upper left pixel. Pixels are counted at their centres, as the records do. A photo that is stored
// mirrored lies in it as it was held: X then runs from its right edge.

import type { Coordinate } from "ol/coordinate";
import { clamp } from "ol/math";
import { fromEPSG4326, toEPSG4326 } from "ol/proj/epsg3857";
import Projection from "ol/proj/Projection";
import { SEMI_MAJOR_M, wrapped } from "../geometry/earth";
import type { LonLat } from "../types";

export const WORLD_M = 2 * Math.PI * SEMI_MAJOR_M; // EPSG:3857 takes a sphere of this radius
/** Beyond it Web Mercator is not drawn. */
export const MAX_LAT = 85.0511287798066;

export function toMercator([lon, lat]: LonLat): Coordinate {
  return fromEPSG4326([lon, clamp(lat, -MAX_LAT, MAX_LAT)]);
}

export function toLonLat(at: Coordinate): LonLat {
  const [lon, lat] = toEPSG4326(at) as LonLat;
  return [wrapped(lon), lat];
}

/** The copy of a longitude that lies nearest to another one. */
export function lonNear(lon: number, reference: number): number {
  return lon + 360 * Math.round((reference - lon) / 360);
}

/** The copy of a place on the map that lies nearest to another place's X. */
export function nearestCopy(at: Coordinate, x: number): Coordinate {
  return [at[0]! + WORLD_M * Math.round((x - at[0]!) / WORLD_M), at[1]!];
}

/** A line of places as Mercator coordinates that never jump around the Earth. */
export function unwrappedLine(places: LonLat[]): Coordinate[] {
  let previous = places[0]?.[0] ?? 0;
  return places.map(([lon, lat]) => {
    previous = lonNear(lon, previous);
    return toMercator([previous, lat]);
  });
}

export type Pixel = [number, number];

/** Width of the photo in view where it is stored mirrored, else null. */
let mirrored_px: number | null = null;

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
