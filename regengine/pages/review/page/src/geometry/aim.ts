// A camera from what a person knows (where it was, what it looked at, how it was turned); a camera
// moved by hand. The page's twin of tests/world/geometry_vectors.py.

import { clamp, toRadians } from "ol/math";
import type { Camera, LonLat } from "../types";
import { type Lens, middle, pixelDirection } from "./camera";
import { geodeticToEcef, incidenceDeg, localAxes } from "./earth";
import { across, axisQuaternion, cross, dot, minus, norm, plus, quaternionMatrix, quaternionProduct, scaled, times, unit, type Vec3 } from "./vector";

export interface Aim {
  nadir: LonLat;
  altitude_km: number;
  /** What the middle of the picture shows. */
  place: LonLat;
  /** Azimuth of the picture's top at that place, clockwise from north. */
  turn_deg: number;
}

/** A lens of which nothing is known but its focal length. */
export function plainLens(width_px: number, height_px: number, focal_px: number): Lens {
  return {
    width_px,
    height_px,
    focal_px,
    principal_point: middle({ width_px, height_px }),
    distortion: [0, 0, 0, 0, 0],
    mirrored: false,
  };
}

/** The camera of an aim; null where the place lies beyond the horizon of the nadir. */
export function aimedCamera(aim: Aim, lens: Lens): Camera | null {
  const position = geodeticToEcef(aim.nadir[0], aim.nadir[1], aim.altitude_km * 1000);
  const ground = geodeticToEcef(aim.place[0], aim.place[1]);
  if (!(incidenceDeg(position, ground) < 90)) return null;
  const forward = unit(minus(ground, position));
  const north = across(localAxes(aim.place[0], aim.place[1]).north, forward);
  const east = cross(forward, north);
  const turn = toRadians(aim.turn_deg);
  const top = plus(scaled(north, Math.cos(turn)), east, Math.sin(turn));
  return aligned({ ...lens, quaternion: [0, 0, 0, 1], position_ecef_m: position }, [0, -1], forward, top);
}

/** The camera turned so that its middle looks along `ahead`, and a direction of the picture (pixels) at
 *  right angles to it, towards `top`; both of length 1. */
export function aligned(camera: Camera, [right, down]: [number, number], ahead: Vec3, top: Vec3): Camera {
  const looking = turnedOnto(camera, unit(pixelDirection(camera, ...middle(camera))), ahead, top);
  const up = times(quaternionMatrix(looking.quaternion), [camera.mirrored ? -right : right, down, 0]);
  return turnedOnto(looking, across(up, ahead), top, ahead);
}

/** The camera turned, by as little as can be, so that a pixel sees a place; null if hidden. */
export function grabbed(camera: Camera, pixel: [number, number], place: LonLat): Camera | null {
  const ground = geodeticToEcef(place[0], place[1]);
  if (!(incidenceDeg(camera.position_ecef_m, ground) < 90)) return null;
  const from = unit(pixelDirection(camera, pixel[0], pixel[1]));
  const to = unit(minus(ground, camera.position_ecef_m));
  return turnedOnto(camera, from, to);
}

/** The camera turned about what a pixel sees, clockwise on the map. */
export function turned(camera: Camera, pixel: [number, number], angle_deg: number): Camera {
  const axis = unit(pixelDirection(camera, pixel[0], pixel[1]));
  return rotated(camera, axis, toRadians(angle_deg));
}

/** Focal length over the long side of the photo, as the server takes it. */
const FOCAL_RATIO = [0.2, 40] as const;

/** The camera with another focal length, of a lens that there is; what a pixel sees stays under it. */
export function zoomed(camera: Camera, pixel: [number, number], wanted_px: number): Camera {
  const [least, most] = FOCAL_RATIO.map((ratio) => ratio * Math.max(camera.width_px, camera.height_px)) as [number, number];
  const focal_px = clamp(wanted_px, least, most);
  const before = unit(pixelDirection(camera, pixel[0], pixel[1]));
  const changed = { ...camera, focal_px };
  return turnedOnto(changed, unit(pixelDirection(changed, pixel[0], pixel[1])), before);
}

/** The camera turned by as little as can be so that one direction (ECEF, of length 1) becomes another;
 *  where that is its opposite, about an axis at right angles to both. */
export function turnedOnto(camera: Camera, from: Vec3, to: Vec3, about: Vec3 | null = null): Camera {
  const axis = cross(from, to);
  const sine = norm(axis);
  if (sine > 1e-12) return rotated(camera, unit(axis), Math.atan2(sine, dot(from, to)));
  return about && dot(from, to) < 0 ? rotated(camera, about, Math.PI) : camera;
}

/** The camera turned about an axis (ECEF, of length 1), right-handed. */
export function rotated(camera: Camera, axis: Vec3, angleRad: number): Camera {
  const turn = axisQuaternion(axis, angleRad);
  return { ...camera, quaternion: quaternionProduct(turn, camera.quaternion) };
}
