// The photo moved, turned and zoomed over the map by hand, as what happens to its camera.

import type { Coordinate } from "ol/coordinate";
import { grabbed, turned, zoomed } from "../geometry/aim";
import { lonLatToPixel, pixelToLonLat } from "../geometry/camera";
import { degrees } from "../geometry/earth";
import type { Camera } from "../types";
import { groundMiddle } from "./ground";
import { nearestCopy, toLonLat, toMercator } from "./mercator";
import type { Pixel } from "./pixel_plane";

export interface Handle {
  kind: "turn" | "zoom";
  pixel: Pixel;
  at: Coordinate;
}

/** Corners turn the photo, the middles of its edges zoom; those that show the sky are left out. */
export function handles(camera: Camera): Handle[] {
  const [right, lower] = [camera.width_px - 1, camera.height_px - 1];
  const corners: Pixel[] = [[0, 0], [right, 0], [right, lower], [0, lower]];
  const edges: Pixel[] = [[right / 2, 0], [right, lower / 2], [right / 2, lower], [0, lower / 2]];
  const found: Handle[] = [];
  for (const [kind, pixels] of [["turn", corners], ["zoom", edges]] as const) {
    for (const pixel of pixels) {
      const at = onMap(camera, pixel);
      if (at) found.push({ kind, pixel, at });
    }
  }
  return found;
}

/** The pixel of the photo that lies under a place of the map; null beside the photo. */
export function pixelUnder(camera: Camera, at: Coordinate): Pixel | null {
  const pixel = lonLatToPixel(camera, ...toLonLat(at));
  if (!pixel) return null;
  const [x, y] = pixel;
  const inside = x >= -0.5 && y >= -0.5 && x < camera.width_px - 0.5 && y < camera.height_px - 0.5;
  return inside ? pixel : null;
}

/** The camera turned so that a pixel lies at a place of the map. */
export function movedTo(camera: Camera, pixel: Pixel, at: Coordinate): Camera | null {
  return grabbed(camera, pixel, toLonLat(at));
}

/** The camera turned about the photo's middle so that a pixel lies in the direction of a place. */
export function turnedTowards(camera: Camera, pixel: Pixel, at: Coordinate): Camera | null {
  return approached(camera, pixel, at, (now, pivot, is, wanted) => {
    const angle = Math.atan2(wanted[0]!, wanted[1]!) - Math.atan2(is[0]!, is[1]!);
    return turned(now, pivot, degrees(Math.atan2(Math.sin(angle), Math.cos(angle))));
  });
}

/** The camera zoomed about the photo's middle so that a pixel lies as far out as a place. */
export function zoomedTowards(camera: Camera, pixel: Pixel, at: Coordinate): Camera | null {
  return approached(camera, pixel, at, (now, pivot, is, wanted) => {
    const factor = Math.hypot(...is) / Math.max(1, Math.hypot(...wanted));
    const focal_px = now.focal_px * Math.min(2, Math.max(0.5, factor));
    return zoomed(now, pivot, focal_px);
  });
}

const TRIES = 8; // the map bends what turns evenly in space

type Step = (now: Camera, pivot: Pixel, is: Coordinate, wanted: Coordinate) => Camera;

function approached(camera: Camera, pixel: Pixel, at: Coordinate, step: Step): Camera | null {
  const about = groundMiddle(camera);
  if (!about) return null;
  const pivot = toMercator(about.place);
  let now = camera;
  for (let i = 0; i < TRIES; i++) {
    const seen = onMap(now, pixel);
    if (!seen) return i > 0 ? now : null;
    now = step(now, about.pixel, away(seen, pivot), away(at, pivot));
  }
  return now;
}

function away(at: Coordinate, pivot: Coordinate): Coordinate {
  const near = nearestCopy(at, pivot[0]!);
  return [near[0]! - pivot[0]!, near[1]! - pivot[1]!];
}

function onMap(camera: Camera, [x, y]: Pixel): Coordinate | null {
  const place = pixelToLonLat(camera, x, y);
  return place && toMercator(place);
}
