// The map follows the photo: its middle and its scale, as a person pans and zooms the photo.

import { pixelToLonLat } from "../geometry/camera";
import type { Camera } from "../types";
import type { MapView } from "./map_view";
import type { PhotoView } from "./photo_view";

const APART_PX = 100; // on the screen, between the two pixels that give the scale

/** Gives what takes the map to where the photo is; `camera` gives null while it is not to follow. */
export function followPhoto(
  photo: PhotoView,
  map: MapView,
  camera: () => Camera | null,
): () => void {
  let last = "";
  const state = () => {
    const middle = photo.middle();
    return middle ? [...middle.pixel, middle.resolution].map((each) => each.toFixed(3)).join(" ") : "";
  };
  const now = () => {
    last = state();
    const middle = photo.middle();
    const seen = camera();
    if (!seen || !middle) return;
    const step = (APART_PX / 2) * middle.resolution;
    const [x, y] = middle.pixel;
    const ends = [pixelToLonLat(seen, x - step, y), pixelToLonLat(seen, x + step, y)] as const;
    if (ends[0] && ends[1]) map.follow(ends[0], ends[1], APART_PX);
  };
  // not while it moves: drawing both views at each step of a pan would be felt
  photo.stage.map.on("moveend", () => {
    if (state() !== last && !photo.untouched()) now();
  });
  return now;
}
