// The WGS84 ellipsoid: the page's twin of matchers/earth.py, checked against it.

import { clamp, modulo, toDegrees, toRadians } from "ol/math";
import { getDistance } from "ol/sphere";
import type { LonLat } from "../types";
import { dot, minus, norm, plus, type Vec3 } from "./vector";

export const SEMI_MAJOR_M = 6378137;
const FLATTENING = 1 / 298.257223563;
export const SEMI_MINOR_M = SEMI_MAJOR_M * (1 - FLATTENING);
const ECCENTRICITY_SQ = FLATTENING * (2 - FLATTENING);

/** Longitude in [-180, 180). */
export function wrapped(lon: number): number {
  return modulo(lon + 180, 360) - 180;
}

/** Earth-centred, Earth-fixed position in metres of a geodetic one. */
export function geodeticToEcef(lon: number, lat: number, heightM = 0): Vec3 {
  const [a, b] = [toRadians(lon), toRadians(lat)];
  const primeVertical = SEMI_MAJOR_M / Math.sqrt(1 - ECCENTRICITY_SQ * Math.sin(b) ** 2);
  const across = (primeVertical + heightM) * Math.cos(b);
  return [
    across * Math.cos(a),
    across * Math.sin(a),
    (primeVertical * (1 - ECCENTRICITY_SQ) + heightM) * Math.sin(b),
  ];
}

/** Geodetic position of any point from the ground up to 2,000 km (Bowring 1976, twice). */
export function ecefToGeodetic([x, y, z]: Vec3): { lon: number; lat: number; heightM: number } {
  const across = Math.hypot(x, y);
  const secondSq = ECCENTRICITY_SQ / (1 - ECCENTRICITY_SQ);
  let reduced = Math.atan2(z * SEMI_MAJOR_M, across * SEMI_MINOR_M);
  let lat = reduced;
  for (let i = 0; i < 2; i++) {
    lat = Math.atan2(
      z + secondSq * SEMI_MINOR_M * Math.sin(reduced) ** 3,
      across - ECCENTRICITY_SQ * SEMI_MAJOR_M * Math.cos(reduced) ** 3,
    );
    reduced = Math.atan2((1 - FLATTENING) * Math.sin(lat), Math.cos(lat));
  }
  const primeVertical = SEMI_MAJOR_M / Math.sqrt(1 - ECCENTRICITY_SQ * Math.sin(lat) ** 2);
  const heightM = across * Math.cos(lat) + z * Math.sin(lat) - SEMI_MAJOR_M ** 2 / primeVertical;
  return { lon: wrapped(toDegrees(Math.atan2(y, x))), lat: toDegrees(lat), heightM };
}

export function ecefToLonLat(at: Vec3): LonLat {
  const { lon, lat } = ecefToGeodetic(at);
  return [lon, lat];
}

export function onUnitSphere([x, y, z]: Vec3): Vec3 {
  return [x / SEMI_MAJOR_M, y / SEMI_MAJOR_M, z / SEMI_MINOR_M];
}

/** Where a ray first meets the ellipsoid; null where it misses it or points away. */
export function intersectEllipsoid(origin: Vec3, direction: Vec3): Vec3 | null {
  const [start, ray] = [onUnitSphere(origin), onUnitSphere(direction)];
  const a = dot(ray, ray);
  const b = dot(start, ray);
  const discriminant = b * b - a * (dot(start, start) - 1);
  if (!(discriminant >= 0 && b < 0)) return null;
  return plus(origin, direction, (-b - Math.sqrt(discriminant)) / a);
}

export function localAxes(lon: number, lat: number): { east: Vec3; north: Vec3; up: Vec3 } {
  const [a, b] = [toRadians(lon), toRadians(lat)];
  return {
    east: [-Math.sin(a), Math.cos(a), 0],
    north: [-Math.sin(b) * Math.cos(a), -Math.sin(b) * Math.sin(a), Math.cos(b)],
    up: [Math.cos(b) * Math.cos(a), Math.cos(b) * Math.sin(a), Math.sin(b)],
  };
}

/** Angle at the ground between the vertical and the line to the camera; above 90 it is hidden. */
export function incidenceDeg(camera: Vec3, ground: Vec3): number {
  const normal = onUnitSphere(onUnitSphere(ground)); // over the squares of the axes, as the gradient has it
  const towards = minus(camera, ground);
  const cosine = dot(normal, towards) / (norm(normal) * norm(towards));
  return toDegrees(Math.acos(clamp(cosine, -1, 1)));
}

/** Distance on a sphere of the mean radius. */
export function greatCircleKm(a: LonLat, b: LonLat): number {
  return getDistance(a, b) / 1000;
}
