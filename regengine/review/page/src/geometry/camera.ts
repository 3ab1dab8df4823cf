// The camera over the Earth: pixels and places; the page's twin of matchers/camera.py.

import type { Camera, LonLat } from "../types";
import { geodeticToEcef, incidenceDeg, intersectEllipsoid, surfaceToLonLat } from "./earth";
import { imageOf, rayOf } from "./lens";
import { minus, quaternionMatrix, times, timesBack, type Vec3 } from "./vector";

/** Direction in ECEF, of any length, that a pixel looks along. */
export function pixelDirection(camera: Camera, x: number, y: number): Vec3 {
  return times(quaternionMatrix(camera.quaternion), rayOf(camera, x, y));
}

/** Ground point (ECEF, metres) that a pixel sees; null for the sky. */
export function pixelToEcef(camera: Camera, x: number, y: number): Vec3 | null {
  return intersectEllipsoid(camera.position_ecef_m, pixelDirection(camera, x, y));
}

/** Place that a pixel sees; null for the sky. */
export function pixelToLonLat(camera: Camera, x: number, y: number): LonLat | null {
  const ground = pixelToEcef(camera, x, y);
  return ground && surfaceToLonLat(ground);
}

/** Place that a pixel sees, and the angle at which it is seen there; null for the sky. */
export function pixelToGround(
  camera: Camera,
  x: number,
  y: number,
): { place: LonLat; incidence_deg: number } | null {
  const ground = pixelToEcef(camera, x, y);
  if (!ground) return null;
  const incidence_deg = incidenceDeg(camera.position_ecef_m, ground);
  return { place: surfaceToLonLat(ground), incidence_deg };
}

/** Pixel of an ECEF point; null behind the camera, no test against the horizon. */
export function ecefToPixel(camera: Camera, point: Vec3): [number, number] | null {
  const away = minus(point, camera.position_ecef_m);
  return imageOf(camera, timesBack(quaternionMatrix(camera.quaternion), away));
}

/** Pixel of a place, inside the picture or not; null where the Earth hides it or it lies behind. */
export function lonLatToPixel(camera: Camera, lon: number, lat: number): [number, number] | null {
  const ground = geodeticToEcef(lon, lat);
  if (!(incidenceDeg(camera.position_ecef_m, ground) < 90)) return null;
  return ecefToPixel(camera, ground);
}

/** The middle of the picture, pixels. */
export function middle(camera: { width_px: number; height_px: number }): [number, number] {
  return [(camera.width_px - 1) / 2, (camera.height_px - 1) / 2];
}
