// The camera over the Earth: pixels and places; the page's twin of matchers/camera.py.

import type { Camera, LonLat } from "../types";
import { geodeticToEcef, incidenceDeg, intersectEllipsoid, ecefToLonLat } from "./earth";
import { minus, quaternionMatrix, times, timesBack, type Vec3 } from "./vector";

export type Lens = Pick<
  Camera,
  "width_px" | "height_px" | "focal_px" | "principal_point" | "distortion" | "mirrored" | "pixel_aspect"
>;
type Distortion = Camera["distortion"];

const SINGULAR = 0.05; // a lens that shrinks areas by so much is no lens
const CONVERGED = 1e-13; // tangents

/** Direction (z = 1) in the camera's frame, x right, y down, of a pixel. */
export function rayOf(lens: Lens, x: number, y: number): Vec3 {
  const px = lens.mirrored ? lens.width_px - 1 - x : x;
  const u = (px - lens.principal_point[0]) / lens.focal_px;
  const v = (y - lens.principal_point[1]) / (lens.focal_px * (lens.pixel_aspect ?? 1));
  const ideal = lens.distortion.some((k) => k !== 0) ? undistort(u, v, lens.distortion) : [u, v];
  return [ideal[0] as number, ideal[1] as number, 1];
}

/** Pixel of a vector of the camera's frame; null behind the camera. */
export function imageOf(lens: Lens, local: Vec3): [number, number] | null {
  if (!(local[2] > 0)) return null;
  const [u, v] = distort(local[0] / local[2], local[1] / local[2], lens.distortion);
  const x = lens.principal_point[0] + lens.focal_px * u;
  const y = lens.principal_point[1] + lens.focal_px * (lens.pixel_aspect ?? 1) * v;
  return [lens.mirrored ? lens.width_px - 1 - x : x, y];
}

/** OpenCV's five-coefficient distortion of tangents (Brown 1966). */
export function distort(u: number, v: number, distortion: Distortion): [number, number] {
  const [k1, k2, p1, p2, k3] = distortion;
  const r2 = u * u + v * v;
  const radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3));
  return [
    u * radial + 2 * p1 * u * v + p2 * (r2 + 2 * u * u),
    v * radial + p1 * (r2 + 2 * v * v) + 2 * p2 * u * v,
  ];
}

/** Ideal tangents of distorted ones, by Newton's method with steps that stay in sight. */
export function undistort(u: number, v: number, distortion: Distortion): [number, number] {
  const [k1, k2, p1, p2, k3] = distortion;
  let [a, b] = [u, v];
  const longest = 0.3 * Math.hypot(u, v);
  const limited = (step: number) => Math.min(longest, Math.max(-longest, step));
  for (let i = 0; i < 10; i++) {
    const [bentU, bentV] = distort(a, b, distortion);
    const r2 = a * a + b * b;
    const radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3));
    const slope = 2 * (k1 + r2 * (2 * k2 + 3 * r2 * k3));
    const uu = radial + slope * a * a + 2 * p1 * b + 6 * p2 * a;
    const vv = radial + slope * b * b + 6 * p1 * b + 2 * p2 * a;
    const uv = slope * a * b + 2 * p1 * a + 2 * p2 * b;
    let area = uu * vv - uv * uv;
    if (Math.abs(area) < SINGULAR) area = SINGULAR;
    const stepU = limited((vv * (u - bentU) - uv * (v - bentV)) / area);
    const stepV = limited((uu * (v - bentV) - uv * (u - bentU)) / area);
    a += stepU;
    b += stepV;
    if (Math.abs(stepU) + Math.abs(stepV) < CONVERGED) break;
  }
  return [a, b];
}

/** Direction in ECEF, of any length, that a pixel looks along. */
export function pixelDirection(camera: Camera, x: number, y: number): Vec3 {
  return times(quaternionMatrix(camera.quaternion), rayOf(camera, x, y));
}

/** Ground point (ECEF, metres) that a pixel sees; null for the sky. */
export function pixelToEcef(camera: Camera, x: number, y: number): Vec3 | null {
  return intersectEllipsoid(camera.position_ecef_m, pixelDirection(camera, x, y));
}

export function pixelToLonLat(camera: Camera, x: number, y: number): LonLat | null {
  const ground = pixelToEcef(camera, x, y);
  return ground && ecefToLonLat(ground);
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
  return { place: ecefToLonLat(ground), incidence_deg };
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

/** Whether a pixel, or a part of one, lies in the picture. */
export function insidePhoto({ width_px, height_px }: Camera, [x, y]: [number, number]): boolean {
  return x >= -0.5 && y >= -0.5 && x < width_px - 0.5 && y < height_px - 0.5;
}

export function middle(camera: { width_px: number; height_px: number }): [number, number] {
  return [(camera.width_px - 1) / 2, (camera.height_px - 1) / 2];
}
