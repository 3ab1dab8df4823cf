// How far points lie from where a camera has them, without asking the server.

import { pixelToGround, lonLatToPixel, pixelToLonLat } from "../geometry/camera";
import { greatCircleKm } from "../geometry/earth";
import type { Camera, LonLat, Point, PointResidual } from "../types";

/** Beyond this angle to the vertical a pixel says next to nothing about a place. */
const MOST_INCIDENCE_DEG = 80;

export function pointResidual(camera: Camera, point: Point): PointResidual | null {
  const pixel = lonLatToPixel(camera, point.lon, point.lat);
  if (pixel === null) return null;
  const [dx_px, dy_px] = [point.x - pixel[0], point.y - pixel[1]];
  const seen = pixelToLonLat(camera, point.x, point.y);
  return {
    dx_px,
    dy_px,
    residual_px: Math.hypot(dx_px, dy_px),
    residual_m: seen === null ? null : 1000 * greatCircleKm(seen, [point.lon, point.lat]),
    left_out_px: null,
    suspect: false,
  };
}

/** How far two points lie from each other, in pixels of the photo, on whichever side they differ. */
export function apartPx(camera: Camera, one: Point, other: Point): number {
  const [a, b] = [one, other].map((each) => lonLatToPixel(camera, each.lon, each.lat));
  if (!a || !b) return Infinity;
  return Math.hypot(one.x - other.x, one.y - other.y) + Math.hypot(a[0] - b[0], a[1] - b[1]);
}

/** Ground in clear sight at a pixel; null on sky and close to the horizon. */
export function clearGround(camera: Camera, x: number, y: number): LonLat | null {
  const ground = pixelToGround(camera, x, y);
  return ground !== null && ground.incidence_deg <= MOST_INCIDENCE_DEG ? ground.place : null;
}
