// A first camera for a frame that has none: straight down from where the station was.

import { aimedCamera, plainLens } from "../geometry/aim";
import type { Camera, Frame, Given, LonLat } from "../types";

/** Where the altitude is unknown: the station's, to a few per cent. */
export const USUAL_ALTITUDE_KM = 410;
/** Where the lens is unknown: 50 mm on a frame of 36 mm, the middle of what is used. */
const USUAL_FOCAL_PER_LONG_SIDE = 50 / 36;

/** Null where the photo's size is not known. `nadir` where neither the engine nor a person told it. */
export function startCamera(frame: Frame, nadir: LonLat | null, given: Given | null = null): Camera | null {
  const told = given?.nadir ?? frame.nadir;
  const at: LonLat | null = told ? [told.lon, told.lat] : nadir;
  if (at === null || frame.width_px === null || frame.height_px === null) return null;
  const known = given?.focal_px
    ? given.focal_px
    : frame.focal_mm !== null && frame.pixel_pitch_um !== null
      ? (1000 * frame.focal_mm) / frame.pixel_pitch_um
      : USUAL_FOCAL_PER_LONG_SIDE * Math.max(frame.width_px, frame.height_px);
  const altitude_km = told?.altitude_km ?? USUAL_ALTITUDE_KM;
  return aimedCamera(
    { nadir: at, altitude_km, place: at, turn_deg: 0 },
    plainLens(frame.width_px, frame.height_px, known),
  );
}
