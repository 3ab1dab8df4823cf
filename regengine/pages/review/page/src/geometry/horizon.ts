// The limb, where the Earth ends: seen in a photo, it says how the camera was tilted.

import type { Camera } from "../types";
import { middle, pixelDirection, rayOf } from "./camera";
import { ecefToLonLat, localAxes, onUnitSphere, SEMI_MAJOR_M, SEMI_MINOR_M } from "./earth";
import { aligned, rotated, turnedOnto } from "./aim";
import { across, cross, dot, norm, plus, quaternionMatrix, scaled, times, timesBack, unit, type Vec3 } from "./vector";

const ROUNDS = 4; // the ellipsoid's limb is not quite a circle

/** Points (ECEF, metres) of the ground along the limb, as many, once around.
 *
 *  Rays that touch an ellipsoid touch it in a plane; scaled so that it is a unit sphere, the eye at
 *  distance d, those are the points at the angle arccos(1 / d) from the eye's direction. */
export function limbPoints(eye: Vec3, count: number): Vec3[] {
  const axes: Vec3 = [SEMI_MAJOR_M, SEMI_MAJOR_M, SEMI_MINOR_M];
  const seen = onUnitSphere(eye);
  const distance = norm(seen);
  const towards = unit(seen);
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
  const seen = onUnitSphere(eye);
  return (ground) => dot(seen, onUnitSphere(ground)) > 1;
}

/** The camera turned, by as little as can be, so that the limb goes through one or two pixels; null
 *  where no camera of this lens has it there. */
export function withLimbAt(camera: Camera, pixels: [number, number][]): Camera | null {
  const rays = pixels.map(([x, y]) => unit(rayOf(camera, x, y)));
  const down = scaled(axesAt(camera).up, -1);
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
    now = turnedOnto(now, times(matrix, wanted), down);
  }
  return now;
}

/** The camera turned about the vertical, so that a pixel looks where another one did, as the
 *  compass has it. */
export function turnedOver(camera: Camera, from: [number, number], to: [number, number]): Camera {
  const [before, after] = [azimuthOf(camera, from), azimuthOf(camera, to)];
  return rotated(camera, axesAt(camera).up, after.azimuthRad - before.azimuthRad);
}

/** The camera looking at the limb in a direction of the compass, the limb level in the upper part of
 *  the picture; `up`: which way is up in the picture as it was held, pixels. */
export function atHorizon(camera: Camera, azimuthRad: number, up: [number, number]): Camera {
  const { north, east, up: above } = axesAt(camera);
  const ahead = plus(scaled(north, Math.cos(azimuthRad)), east, Math.sin(azimuthRad));
  const level = aligned(camera, up, ahead, above);
  const [x, y] = middle(camera);
  const sixth = Math.min(camera.width_px, camera.height_px) / 6;
  return withLimbAt(level, [[x + up[0] * sixth, y + up[1] * sixth]]) ?? level;
}

function axesAt(camera: Camera): ReturnType<typeof localAxes> {
  return localAxes(...ecefToLonLat(camera.position_ecef_m));
}

/** Angle from straight down to the limb, in the direction of the compass that a ray has. */
function limbAngle(eye: Vec3, down: Vec3, ray: Vec3): number {
  const flat = across(ray, down);
  const level = Number.isFinite(flat[0]) ? flat : across([1, 0.1, 0.1], down); // straight down: any will do
  // A ray grazes where its meeting with the ellipsoid (scaled to a unit sphere) has one root: with the
  // tangent t of the angle, C t² + 2 B t + A = 0
  const [start, d, l] = [onUnitSphere(eye), onUnitSphere(down), onUnitSphere(level)];
  const outside = dot(start, start) - 1;
  const [a, b, c] = ([[d, d], [d, l], [l, l]] as const).map(([u, v]) => dot(start, u) * dot(start, v) - outside * dot(u, v));
  return Math.atan((b! + Math.sqrt(b! * b! - a! * c!)) / -c!);
}

/** The nearest direction to `nadir` that has this cosine with a ray. */
function tilted(nadir: Vec3, ray: Vec3, cosine: number): Vec3 | null {
  const out = across(nadir, ray);
  if (!Number.isFinite(out[0])) return null;
  const sine = Math.sqrt(1 - cosine ** 2);
  return plus(scaled(ray, cosine), out, sine);
}

/** The direction with these cosines with two rays; of the two, the one nearer to `nadir`. */
function throughBoth(nadir: Vec3, a: Vec3, b: Vec3, cosA: number, cosB: number): Vec3 | null {
  const between = dot(a, b);
  const area = 1 - between ** 2;
  if (area < 1e-6) return tilted(nadir, a, cosA);
  const [s, t] = [(cosA - between * cosB) / area, (cosB - between * cosA) / area];
  const inPlane = plus(scaled(a, s), b, t);
  const rest = 1 - dot(inPlane, inPlane);
  if (rest < 0) return null;
  const normal = unit(cross(a, b));
  const sign = dot(normal, nadir) < 0 ? -1 : 1;
  return plus(inPlane, normal, sign * Math.sqrt(rest));
}

/** Where a pixel, by itself the middle, looks: azimuth and angle from straight down, radians. */
export function azimuthOf(camera: Camera, pixel = middle(camera)): { azimuthRad: number; offNadirRad: number } {
  const { north, east, up } = axesAt(camera);
  const ray = unit(pixelDirection(camera, ...pixel));
  return { azimuthRad: Math.atan2(dot(ray, east), dot(ray, north)), offNadirRad: Math.acos(Math.min(1, -dot(ray, up))) };
}
