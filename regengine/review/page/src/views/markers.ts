// Control points as marks in a view: where they stand, and where the camera would have them.

import type { Coordinate } from "ol/coordinate";
import { pixelToLonLat } from "../geometry/camera";
import type { Camera, Origin, Point, PointResidual } from "../types";
import { lonNear, toMercator } from "./mercator";
import { pixelToPlane } from "./pixel_plane";

export interface Marker {
  index: number;
  at: Coordinate;
  /** Where the camera puts it; null where nobody knows. */
  towards: Coordinate | null;
  origin: Origin;
  suspect: boolean;
  selected: boolean;
  /** Guessed by the camera; a click or Enter decides. */
  guess: boolean;
  residual_px: number | null;
}

type Residuals = PointResidual[] | null;

/** Where the mark that confirms a guess lies beside its point, in pixels of the screen. */
export const CONFIRM_PX: [number, number] = [30, 20];

function common(
  point: Point,
  index: number,
  residuals: Residuals,
  selected: number | null,
  guess: number | null,
) {
  return {
    index,
    origin: point.origin,
    suspect: residuals?.[index]?.suspect ?? false,
    selected: selected === index,
    guess: guess === index,
    residual_px: residuals?.[index]?.residual_px ?? null,
  };
}

export function photoMarkers(
  points: Point[],
  residuals: Residuals,
  selected: number | null,
  guess: number | null = null,
): Marker[] {
  return points.map((point, index) => {
    const residual = residuals?.[index];
    return {
      ...common(point, index, residuals, selected, guess),
      at: pixelToPlane([point.x, point.y]),
      towards: residual
        ? pixelToPlane([point.x - residual.dx_px, point.y - residual.dy_px])
        : null,
    };
  });
}

export function mapMarkers(
  points: Point[],
  residuals: Residuals,
  selected: number | null,
  camera: Camera | null,
  guess: number | null = null,
): Marker[] {
  return points.map((point, index) => {
    const seen = camera && residuals?.[index] ? pixelToLonLat(camera, point.x, point.y) : null;
    return {
      ...common(point, index, residuals, selected, guess),
      at: toMercator([point.lon, point.lat]),
      towards: seen ? toMercator([lonNear(seen[0], point.lon), seen[1]]) : null,
    };
  });
}

const FACTORS = [100, 50, 20, 10, 5, 2, 1];
const LONGEST_PX = 40; // on the screen

/** How many times the residuals are drawn too long, so that small ones show. */
export function exaggeration(markers: Marker[], unitsPerScreenPixel: number): number {
  const longest = Math.max(
    0,
    ...markers.map(({ at, towards }) =>
      towards ? Math.hypot(towards[0]! - at[0]!, towards[1]! - at[1]!) : 0,
    ),
  );
  if (longest * FACTORS[0]! < unitsPerScreenPixel) return 1; // not to be seen at any rate
  return FACTORS.find((factor) => (longest * factor) / unitsPerScreenPixel <= LONGEST_PX) ?? 1;
}

/** The marker under a place of the screen: the nearest within reach, the selected one first. */
export function markerAt(
  screen: Coordinate,
  positions: (Coordinate | null)[],
  reach_px: number,
  selected: number | null,
): number | null {
  const distance = (index: number): number => {
    const position = positions[index];
    return position ? Math.hypot(position[0]! - screen[0]!, position[1]! - screen[1]!) : Infinity;
  };
  if (selected !== null && distance(selected) <= reach_px) return selected;
  let best: number | null = null;
  positions.forEach((_, index) => {
    if (distance(index) <= reach_px && (best === null || distance(index) < distance(best))) best = index;
  });
  return best;
}
