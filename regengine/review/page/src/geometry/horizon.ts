// The limb, where the Earth ends: seen in a photo, it says how the camera was tilted.

import type { Camera } from "../types";
import { middle, pixelDirection } from "./camera";
import { ecefToGeodetic, intersectEllipsoid, localAxes, SEMI_MAJOR_M, SEMI_MINOR_M } from "./earth";
import { rotated } from "./aim";
import { rayOf } from "./lens";
import { across, cross, dot, norm, quaternionMatrix, times, timesBack, unit, type Vec3 } from "./vector";

const HALVINGS = 40;
const ROUNDS = 4; // the ellipsoid's limb is not quite a circle

/** Points (ECEF, metres) of the ground along the limb, as many, once around.
 *
 *  Rays that touch an ellipsoid touch it in a plane; scaled so that it is a unit sphere, the eye at
 *  distance d, those are the points at the angle arccos(1 / d) from the eye's direction. */
export function limbPoints(eye: Vec3, count: number): Vec3[] {
  const axes: Vec3 = [SEMI_MAJOR_M, SEMI_MAJOR_M, SEMI_MINOR_M];
  const scaled = eye.map((each, i) => each / axes[i]!) as Vec3;
  const distance = norm(scaled);
  const towards = unit(scaled);
  const beside = unit(cross(towards, Math.abs(towards[2]) < 0.9 ? [0, 0, 1] : [1, 0, 0]));
  const upright = cross(beside, towards);
  const reach = Math.sqrt(1 - 1 / distance ** 2);
  return Array.from({ length: count }, (_, k) => {
    const turn = (2 * Math.PI * k) / count;
    return axes.map((axis, i) => {
      const out = reach * (Math.cos(turn) * beside[i]! + Math.sin(turn) * upright[i]!);
      return axis * (towards[i]! / distance + out);
    }) as Vec3;
  });
}

/** Whether a place (ECEF, on the ground) is on this side of the limb. */
export function seesGround(eye: Vec3): (ground: Vec3) => boolean {
  const weights = [eye[0] / SEMI_MAJOR_M ** 2, eye[1] / SEMI_MAJOR_M ** 2, eye[2] / SEMI_MINOR_M ** 2] as Vec3;
  return (ground) => dot(weights, ground) > 1;
}

/** The camera turned, by as little as can be, so that the limb goes through one or two pixels; null
 *  where no camera of this lens has it there. */
export function withLimbAt(camera: Camera, pixels: [number, number][]): Camera | null {
  const rays = pixels.map(([x, y]) => unit(rayOf(camera, x, y)));
  const down = downwards(camera);
  let now = camera;
  for (let round = 0; round < ROUNDS; round++) {
    const matrix = quaternionMatrix(now.quaternion);
    const nadir = timesBack(matrix, down);
    const cosines = rays.map((ray) => Math.cos(limbAngle(camera.position_ecef_m, down, times(matrix, ray))));
    const wanted =
      rays.length === 1
        ? tilted(nadir, rays[0]!, cosines[0]!)
        : throughBoth(nadir, rays[0]!, rays[1]!, cosines[0]!, cosines[1]!);
    if (!wanted) return null;
    const from = times(matrix, wanted);
    const axis = cross(from, down);
    const sine = norm(axis);
    if (sine < 1e-12) break;
    now = rotated(now, unit(axis), Math.atan2(sine, dot(from, down)));
  }
  return now;
}

/** The camera turned about the vertical, so that a pixel looks where another one did, as the
 *  compass has it. */
export function turnedOver(camera: Camera, from: [number, number], to: [number, number]): Camera {
  const down = downwards(camera);
  const azimuth = (pixel: [number, number]) => {
    const flat = across(pixelDirection(camera, ...pixel), down);
    return Math.atan2(dot(flat, reference.east), dot(flat, reference.north));
  };
  const { lon, lat } = ecefToGeodetic(camera.position_ecef_m);
  const reference = localAxes(lon, lat);
  return rotated(camera, down, azimuth(from) - azimuth(to));
}

/** The camera looking at the limb in a direction of the compass, the limb level in the upper part of
 *  the picture; `up`: which way is up in the picture as it was held, pixels. */
export function atHorizon(camera: Camera, azimuthRad: number, up: [number, number]): Camera {
  const { lon, lat } = ecefToGeodetic(camera.position_ecef_m);
  const { north, east } = localAxes(lon, lat);
  const ahead = [0, 1, 2].map((i) => Math.cos(azimuthRad) * north[i]! + Math.sin(azimuthRad) * east[i]!) as Vec3;
  const level = aligned(camera, up, ahead);
  const [x, y] = middle(camera);
  const sixth = Math.min(camera.width_px, camera.height_px) / 6;
  return withLimbAt(level, [[x + up[0] * sixth, y + up[1] * sixth]]) ?? level;
}

/** The camera turned so that its middle looks along a level direction, and its up is up. */
function aligned(camera: Camera, up: [number, number], ahead: Vec3): Camera {
  const [x, y] = middle(camera);
  const turn = (from: Vec3, to: Vec3, now: Camera, about: Vec3): Camera => {
    const axis = cross(from, to);
    const sine = norm(axis);
    const angle = Math.atan2(sine, dot(from, to));
    return angle < 1e-12 ? now : rotated(now, sine < 1e-9 ? about : unit(axis), angle);
  };
  const sky = downwards(camera).map((each) => -each) as Vec3;
  const looking = turn(unit(pixelDirection(camera, x, y)), ahead, camera, sky);
  const top = across(pixelDirection(looking, x + up[0], y + up[1]), ahead);
  return turn(top, sky, looking, ahead);
}

/** Straight down, of the ellipsoid. */
function downwards(camera: Camera): Vec3 {
  const { lon, lat } = ecefToGeodetic(camera.position_ecef_m);
  return localAxes(lon, lat).up.map((each) => -each) as Vec3;
}

/** Angle from straight down to the limb, in the direction of the compass that a ray has. */
function limbAngle(eye: Vec3, down: Vec3, ray: Vec3): number {
  const flat = across(ray, down);
  const level = Number.isFinite(flat[0]) ? flat : across([1, 0.1, 0.1], down); // straight down: any will do
  let [ground, sky] = [0, Math.PI / 2];
  for (let i = 0; i < HALVINGS; i++) {
    const between = (ground + sky) / 2;
    const looks = [0, 1, 2].map((k) => Math.cos(between) * down[k]! + Math.sin(between) * level[k]!) as Vec3;
    if (intersectEllipsoid(eye, looks)) ground = between;
    else sky = between;
  }
  return ground;
}

/** The nearest direction to `nadir` that has this cosine with a ray. */
function tilted(nadir: Vec3, ray: Vec3, cosine: number): Vec3 | null {
  const out = across(nadir, ray);
  if (!Number.isFinite(out[0])) return null;
  const sine = Math.sqrt(1 - cosine ** 2);
  return [0, 1, 2].map((i) => cosine * ray[i]! + sine * out[i]!) as Vec3;
}

/** The direction with these cosines with two rays; of the two, the one nearer to `nadir`. */
function throughBoth(nadir: Vec3, a: Vec3, b: Vec3, cosA: number, cosB: number): Vec3 | null {
  const between = dot(a, b);
  const area = 1 - between ** 2;
  if (area < 1e-6) return tilted(nadir, a, cosA);
  const [s, t] = [(cosA - between * cosB) / area, (cosB - between * cosA) / area];
  const inPlane = [0, 1, 2].map((i) => s * a[i]! + t * b[i]!) as Vec3;
  const rest = 1 - dot(inPlane, inPlane);
  if (rest < 0) return null;
  const normal = unit(cross(a, b));
  const sign = dot(normal, nadir) < 0 ? -1 : 1;
  return [0, 1, 2].map((i) => inPlane[i]! + sign * Math.sqrt(rest) * normal[i]!) as Vec3;
}

/** How far from level a camera looks, and where: azimuth of its middle, radians. */
export function azimuthOf(camera: Camera): { azimuthRad: number; offNadirRad: number } {
  const { lon, lat } = ecefToGeodetic(camera.position_ecef_m);
  const { north, east, up } = localAxes(lon, lat);
  const ray = unit(pixelDirection(camera, ...middle(camera)));
  return { azimuthRad: Math.atan2(dot(ray, east), dot(ray, north)), offNadirRad: Math.acos(-dot(ray, up)) };
}
