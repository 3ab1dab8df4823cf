// Which way north is in a photo.

import { lonLatToPixel } from "../geometry/camera";
import type { Camera } from "../types";
import { groundMiddle } from "./ground_middle";
import { pixelToPlane } from "./pixel_plane";

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
