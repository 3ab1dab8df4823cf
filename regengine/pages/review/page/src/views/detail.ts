// The tiles of a photo, where its preview is too coarse: which ones are in sight, and their pictures,
// asked for once, decoded off the main thread, the last ones kept.

import { lonLatToPixel } from "../geometry/camera";
import type { Camera, Frame } from "../types";
import { link } from "../work/link";
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

const KEPT = 120; // 1 MB each; more than are drawn at once

export type TileTextures = ReturnType<typeof createTileTextures>;

export function createTileTextures(frame: Frame, loaded: () => void) {
  const kept = new Map<string, ImageBitmap | null>();
  const load = async (path: string, key: string) => {
    const answer = await fetch(path);
    if (answer.status === 401 || answer.status >= 500) throw new Error(answer.statusText);
    if (!answer.ok) return;
    kept.set(key, await createImageBitmap(await answer.blob()));
    loaded();
  };
  return {
    /** The tile, if it is there; else it is on its way, and `loaded` tells when it has come. */
    get({ z, x, y }: DetailTile): ImageBitmap | null {
      const key = `${z}/${x}/${y}`;
      const known = kept.get(key);
      if (known === undefined) {
        kept.set(key, null);
        load(photoTile(frame, z, x, y), key).catch(() => {
          kept.delete(key); // asked for again later
          link.lost();
        });
      } else {
        kept.delete(key);
        kept.set(key, known); // newest last
      }
      for (const oldest of kept.keys()) {
        if (kept.size <= KEPT) break;
        kept.delete(oldest);
      }
      return known ?? null;
    },
  };
}

/** Address of a tile; it names the photo's content, so that browsers keep it for ever. */
export function photoTile({ id, sha256 }: Frame, z: number, x: number, y: number): string {
  return `/api/frames/${id}/photo/${z}/${x}/${y}.jpg?v=${sha256.slice(0, 16)}`;
}
