// The parts of a photo that are drawn over the map from its tiles, where the preview is too coarse.

import { lonLatToPixel } from "../geometry/camera";
import type { Camera, Frame } from "../types";
import { toLonLat } from "./mercator";
import type { Part } from "./mesh";

type Extent = number[];

export interface DetailTile {
  z: number;
  x: number;
  y: number;
  part: Part;
}

const STEPS = 12;
const MARGIN = 0.1;
const MOST_TILES = 80;

/** The part of the photo that an extent of the map shows; null where there is none. */
export function partInSight(camera: Camera, [left, bottom, right, top]: Extent): Part | null {
  const xs: number[] = [];
  const ys: number[] = [];
  for (let i = 0; i <= STEPS; i++) {
    for (let j = 0; j <= STEPS; j++) {
      const at = [left! + ((right! - left!) * i) / STEPS, bottom! + ((top! - bottom!) * j) / STEPS];
      const pixel = lonLatToPixel(camera, ...toLonLat(at));
      if (!pixel) continue;
      xs.push(pixel[0]);
      ys.push(pixel[1]);
    }
  }
  if (xs.length === 0) return null;
  const [west, east] = widened(Math.min(...xs), Math.max(...xs), camera.width_px);
  const [upper, lower] = widened(Math.min(...ys), Math.max(...ys), camera.height_px);
  return west < east && upper < lower ? [west, upper, east, lower] : null;
}

function widened(least: number, most: number, size: number): [number, number] {
  const margin = MARGIN * (most - least);
  return [Math.max(-0.5, least - margin), Math.min(size - 0.5, most + margin)];
}

type Pyramid = Pick<Frame, "max_zoom" | "tile_px" | "width_px" | "height_px">;

/** Tiles of the level that has about one pixel for one of the screen; a coarser one for very many. */
export function detailTiles(pyramid: Pyramid, part: Part, screenPerPixel: number): DetailTile[] {
  const wanted = Math.ceil(pyramid.max_zoom + Math.log2(screenPerPixel) - 0.3);
  for (let z = Math.max(0, Math.min(pyramid.max_zoom, wanted)); z > 0; z--) {
    const tiles = tilesOfLevel(pyramid, part, z);
    if (tiles.length <= MOST_TILES) return tiles;
  }
  return tilesOfLevel(pyramid, part, 0);
}

function tilesOfLevel(pyramid: Pyramid, part: Part, z: number): DetailTile[] {
  const span = pyramid.tile_px * 2 ** (pyramid.max_zoom - z); // pixels of the photo
  const first = [0, 1].map((axis) => Math.floor((part[axis]! + 0.5) / span)) as [number, number];
  const last = [2, 3].map((axis) => Math.ceil((part[axis]! + 0.5) / span) - 1) as [number, number];
  const tiles: DetailTile[] = [];
  for (let y = first[1]; y <= last[1]; y++) {
    for (let x = first[0]; x <= last[0]; x++) {
      const [left, top] = [x * span - 0.5, y * span - 0.5];
      const right = Math.min(left + span, (pyramid.width_px ?? 0) - 0.5);
      const bottom = Math.min(top + span, (pyramid.height_px ?? 0) - 0.5);
      tiles.push({ z, x, y, part: [left, top, right, bottom] });
    }
  }
  return tiles;
}
