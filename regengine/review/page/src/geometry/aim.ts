// A camera from what a person knows (where it was, what it looked at, how it was turned), and
// back; a camera moved by hand. The page's twin of tests/regengine/review/aiming.py.

import type { Camera, LonLat } from "../types";
import { middle, pixelDirection } from "./camera";
import {
  degrees,
  ecefToGeodetic,
  geodeticToEcef,
  incidenceDeg,
  intersectEllipsoid,
  localAxes,
  radians,
  surfaceToLonLat,
} from "./earth";
import { type Lens, rayOf } from "./lens";
import {
  across,
  axisQuaternion,
  cross,
  dot,
  matrixQuaternion,
  minus,
  norm,
  quaternionMatrix,
  quaternionProduct,
  rotationBetween,
  times,
  unit,
  type Matrix,
  type Vec3,
} from "./vector";

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
  const turn = radians(aim.turn_deg);
  const top: Vec3 = [0, 0, 0];
  for (const i of [0, 1, 2] as const) top[i] = Math.cos(turn) * north[i] + Math.sin(turn) * east[i];
  const matrix = rotationBetween(pictureAxes(lens), [forward, top, cross(forward, top)]);
  return { ...lens, quaternion: matrixQuaternion(matrix), position_ecef_m: position };
}

/** The aim of a camera; null where its middle shows the sky. */
export function aimOf(camera: Camera): Aim | null {
  const matrix = quaternionMatrix(camera.quaternion);
  const [ray, up] = pictureAxes(camera);
  const forward = times(matrix, ray);
  const ground = intersectEllipsoid(camera.position_ecef_m, forward);
  if (!ground) return null;
  const place = surfaceToLonLat(ground);
  const north = across(localAxes(place[0], place[1]).north, forward);
  const top = times(matrix, up);
  const turn_deg = degrees(Math.atan2(dot(top, cross(forward, north)), dot(top, north)));
  const { lon, lat, heightM } = ecefToGeodetic(camera.position_ecef_m);
  return { nadir: [lon, lat], altitude_km: heightM / 1000, place, turn_deg };
}

/** The camera turned, by as little as can be, so that a pixel sees a place; null if hidden. */
export function grabbed(camera: Camera, pixel: [number, number], place: LonLat): Camera | null {
  const ground = geodeticToEcef(place[0], place[1]);
  if (!(incidenceDeg(camera.position_ecef_m, ground) < 90)) return null;
  const from = unit(pixelDirection(camera, pixel[0], pixel[1]));
  const to = unit(minus(ground, camera.position_ecef_m));
  const axis = cross(from, to);
  const sine = norm(axis);
  if (sine < 1e-12) return camera;
  return rotated(camera, unit(axis), Math.atan2(sine, dot(from, to)));
}

/** The camera turned about what a pixel sees, clockwise on the map. */
export function turned(camera: Camera, pixel: [number, number], angle_deg: number): Camera {
  const axis = unit(pixelDirection(camera, pixel[0], pixel[1]));
  return rotated(camera, axis, radians(angle_deg));
}

/** The camera with another focal length; what a pixel sees stays under it. */
export function zoomed(camera: Camera, pixel: [number, number], focal_px: number): Camera {
  const before = unit(pixelDirection(camera, pixel[0], pixel[1]));
  const changed = { ...camera, focal_px };
  const after = unit(pixelDirection(changed, pixel[0], pixel[1]));
  const axis = cross(after, before);
  const sine = norm(axis);
  return sine < 1e-12 ? changed : rotated(changed, unit(axis), Math.atan2(sine, dot(after, before)));
}

/** The camera turned about an axis (ECEF, of length 1), right-handed. */
export function rotated(camera: Camera, axis: Vec3, angleRad: number): Camera {
  const turn = axisQuaternion(axis, angleRad);
  return { ...camera, quaternion: quaternionProduct(turn, camera.quaternion) };
}

/** Of the picture's middle, in the camera's frame: ahead, towards the top, and their cross. */
function pictureAxes(lens: Lens): Matrix {
  const [x, y] = middle(lens);
  const ahead = unit(rayOf(lens, x, y));
  const top = across([0, -1, 0], ahead);
  return [ahead, top, cross(ahead, top)];
}
