// Control points as marks in a view: where they stand, and where the camera would have them.

import type { Coordinate } from "ol/coordinate";
import { lonLatToPixel, pixelToLonLat } from "../geometry/camera";
import type { Camera, Origin, Point, PointResidual } from "../types";
import type { Side, Work } from "../view_types";
import { lonNear, toMercator } from "./mercator";
import { pixelToPlane } from "./pixel_plane";

export interface Marker {
  index: number;
  at: Coordinate;
  /** Where the camera puts it; null where nobody knows. */
  towards: Coordinate | null;
  origin: Origin;
  off: boolean;
  suspect: boolean;
  selected: boolean;
  /** Guessed by the camera; a click or Enter decides. */
  guess: boolean;
  residual_px: number | null;
}

/** Where the mark that confirms a guess lies beside its point, in pixels of the screen. */
export const CONFIRM_PX: [number, number] = [30, 20];

/** The control points in one view. */
export function markersOf(side: Side, work: Omit<Work, "tool">, residuals: (PointResidual | null)[]): Marker[] {
  const { points, selected, awaited, camera } = work;
  return points.map((point, index) => {
    const residual = residuals[index] ?? null;
    return {
      index,
      at: onSide(side, point),
      towards: residual && (side === "photo" ? inPhoto(point, residual) : camera && onMap(point, camera)),
      origin: point.origin,
      off: point.off ?? false,
      suspect: residual?.suspect ?? false,
      selected: selected === index,
      guess: awaited?.side === side && awaited.index === index,
      residual_px: residual?.residual_px ?? null,
    };
  });
}

/** Where a control point lies in a view. */
export function onSide(side: Side, { x, y, lon, lat }: Point): Coordinate {
  return side === "photo" ? pixelToPlane([x, y]) : toMercator([lon, lat]);
}

function inPhoto({ x, y }: Point, { dx_px, dy_px }: PointResidual): Coordinate {
  return pixelToPlane([x - dx_px, y - dy_px]);
}

function onMap({ x, y, lon }: Point, camera: Camera): Coordinate | null {
  const seen = pixelToLonLat(camera, x, y);
  return seen && toMercator([lonNear(seen[0], lon), seen[1]]);
}

/** Where a camera has the other half of a point, in a view; null where it has it nowhere. */
export function seenBy(side: Side, point: Point, camera: Camera): Coordinate | null {
  if (side === "map") return onMap(point, camera);
  const pixel = lonLatToPixel(camera, point.lon, point.lat);
  return pixel && pixelToPlane(pixel);
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
