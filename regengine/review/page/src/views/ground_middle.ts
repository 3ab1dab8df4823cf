// The pixel on the ground that lies nearest to the middle of a photo.

import { middle, pixelToGround } from "../geometry/camera";
import type { Camera, LonLat } from "../types";
import type { Pixel } from "./pixel_plane";

const STEPS = [-0.4, -0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3, 0.4];
const STEEPEST_DEG = 85;

/** null where (nearly) all that the photo shows is sky. */
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
