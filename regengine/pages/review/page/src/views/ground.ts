// The ground that a photo shows: what lies nearest to its middle, which way north is, where it is on the map.

import type { Coordinate } from "ol/coordinate";
import { lonLatToPixel, middle, pixelToGround } from "../geometry/camera";
import type { Camera, Frame, LonLat } from "../types";
import { toMercator, unwrappedLine, WORLD_M } from "./mercator";
import { groundMesh, STEEPEST_DEG, wholePhoto } from "./mesh";
import { pixelToPlane, type Pixel } from "./pixel_plane";

const STEPS = [-0.4, -0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3, 0.4];

/** The pixel on the ground that lies nearest to the middle of a photo; null where (nearly) all that the photo shows is sky. */
export function groundMiddle(camera: Camera): { pixel: Pixel; place: LonLat } | null {
  const [x, y] = middle(camera);
  const tries = STEPS.flatMap((sx) =>
    STEPS.map((sy): Pixel => [sx * camera.width_px, sy * camera.height_px]),
  );
  tries.sort((a, b) => Math.hypot(...a) - Math.hypot(...b));
  for (const [dx, dy] of tries) {
    const ground = pixelToGround(camera, x + dx, y + dy);
    if (ground && ground.incidence_deg < STEEPEST_DEG) return { pixel: [x + dx, y + dy], place: ground.place };
  }
  return null;
}

const STEP_DEG = 0.02;

/** Turn (radians, clockwise) of the photo's view that brings north up; null where all is sky. */
export function northTurn(camera: Camera): number | null {
  const at = groundMiddle(camera);
  if (!at) return null;
  const [lon, lat] = at.place;
  const southward = lat + STEP_DEG > 90;
  const ahead = lonLatToPixel(camera, lon, southward ? lat - STEP_DEG : lat + STEP_DEG);
  if (!ahead) return null;
  const [from, to] = [pixelToPlane(at.pixel), pixelToPlane(ahead)];
  const [right, up] = [to[0]! - from[0]!, to[1]! - from[1]!];
  return -Math.atan2(southward ? -right : right, southward ? -up : up);
}

/** Places around what a frame is about: the ground that the photo shows; else what could be in
 *  sight; else the Earth. */
export function framePlaces(frame: Frame | null, camera: Camera | null): Coordinate[] {
  const ground = camera ? groundMesh(camera, wholePhoto(camera), 12, 8).flat().map(({ at }) => at) : [];
  if (ground.length > 1) return ground;
  if (frame && frame.horizon.length > 2) return unwrappedLine(frame.horizon);
  if (frame?.nadir) {
    const [x, y] = toMercator([frame.nadir.lon, frame.nadir.lat]) as [number, number];
    const reach = 2_000_000; // about the horizon from 400 km
    return [[x - reach, y - reach], [x + reach, y + reach]];
  }
  return [[-WORLD_M / 2, -WORLD_M / 4], [WORLD_M / 2, WORLD_M / 3]];
}
