// Cameras that the tests of the views look through.

import { aimedCamera, plainLens } from "../geometry/aim";
import type { LonLat } from "../types";

export function cameraOver(nadir: LonLat, place: LonLat = nadir, turn_deg = 0, focal_px = 5000) {
  const camera = aimedCamera({ nadir, altitude_km: 420, place, turn_deg }, plainLens(4256, 2832, focal_px));
  if (!camera) throw new Error("the place is hidden");
  return camera;
}
