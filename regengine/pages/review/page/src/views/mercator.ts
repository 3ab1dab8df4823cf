// Web Mercator (EPSG:3857) with longitudes that run on across the antimeridian.

import type { Coordinate } from "ol/coordinate";
import { SEMI_MAJOR_M, wrapped } from "../geometry/earth";
import type { LonLat } from "../types";

export const WORLD_M = 2 * Math.PI * SEMI_MAJOR_M; // EPSG:3857 takes a sphere of this radius
/** Beyond it Web Mercator is not drawn. */
export const MAX_LAT = 85.0511287798066;

export function toMercator([lon, lat]: LonLat): Coordinate {
  const bounded = Math.max(-MAX_LAT, Math.min(MAX_LAT, lat));
  return [
    (WORLD_M * lon) / 360,
    SEMI_MAJOR_M * Math.log(Math.tan(Math.PI / 4 + (bounded * Math.PI) / 360)),
  ];
}

export function toLonLat(at: Coordinate): LonLat {
  const lon = (at[0]! * 360) / WORLD_M;
  const lat = (Math.atan(Math.exp(at[1]! / SEMI_MAJOR_M)) * 360) / Math.PI - 90;
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
