// A part of a map in one picture, put together from its tiles.

import type { Extent } from "ol/extent";
import type { MapKind } from "../types";
import { WORLD_M } from "./mercator";

const TILE_PX = 256;
const MOST_TILES = 80;
const KEPT = 240;
const ROOM = 0.15; // around what was asked for, so that a drag needs no other picture
/** Finer than the maps: lights have 15 arc seconds, 460 m, streets 12.5 m, and days what they were made of. */
export const FINEST_ZOOM: Record<MapKind, number> = { lights: 10, streets: 14, day: 13 };

/** Address of the tiles of a map. */
export function mapTiles(kind: MapKind): string {
  return `/api/maps/${kind}/{z}/{x}/{y}.png`;
}

export interface MapPicture {
  canvas: HTMLCanvasElement;
  /** Mercator metres of its upper left corner, and of a pixel. */
  left: number;
  top: number;
  metres: number;
}

/** The first and last column and row of tiles. */
type Range = [number, number, number, number];

export function createMapMosaic(kind: MapKind, loaded: () => void) {
  const tiles = new Map<string, HTMLImageElement>();
  let last: { z: number; range: Range; picture: MapPicture } | null = null;
  let timer = 0;
  const arrived = () => {
    last = null;
    window.clearTimeout(timer);
    timer = window.setTimeout(loaded, 30); // those that come together are drawn together
  };
  const tile = (z: number, x: number, y: number): HTMLImageElement => {
    const address = mapTiles(kind).replace("{z}", `${z}`).replace("{x}", `${x}`).replace("{y}", `${y}`);
    const known = tiles.get(address);
    const image = known ?? new Image();
    tiles.delete(address);
    tiles.set(address, image); // newest last
    if (!known) {
      image.addEventListener("load", arrived);
      image.addEventListener("error", () => tiles.delete(address)); // asked for again later
      image.src = address;
    }
    for (const oldest of tiles.keys()) {
      if (tiles.size <= KEPT) break;
      tiles.delete(oldest);
    }
    return image;
  };
  return {
    /** The map of an extent, a pixel about so many metres; tiles that are on their way are missing. */
    of([left, bottom, right, top]: Extent, metres: number): MapPicture | null {
      const room = Math.max(right! - left!, top! - bottom!) * ROOM;
      const wanted = Math.round(Math.log2(WORLD_M / TILE_PX / metres));
      for (let z = Math.min(FINEST_ZOOM[kind], Math.max(0, wanted)); z >= 0; z--) {
        const size = WORLD_M / 2 ** z;
        const column = (x: number) => Math.floor((x + WORLD_M / 2) / size);
        const row = (y: number) => Math.min(2 ** z - 1, Math.max(0, Math.floor((WORLD_M / 2 - y) / size)));
        const range = (more: number): Range => [column(left! - more), row(top! + more), column(right! + more), row(bottom! - more)];
        const around = range(room);
        const [first, upper, end, lower] = around;
        if ((end - first + 1) * (lower - upper + 1) > MOST_TILES && z > 0) continue;
        if (last?.z === z && holds(last.range, range(0))) return last.picture;
        const canvas = document.createElement("canvas");
        canvas.width = (end - first + 1) * TILE_PX;
        canvas.height = (lower - upper + 1) * TILE_PX;
        const context = canvas.getContext("2d")!;
        const n = 2 ** z;
        for (let x = first; x <= end; x++) {
          for (let y = upper; y <= lower; y++) {
            const image = tile(z, ((x % n) + n) % n, y);
            if (!image.complete || image.naturalWidth === 0) continue;
            context.drawImage(image, (x - first) * TILE_PX, (y - upper) * TILE_PX);
          }
        }
        const picture = { canvas, left: first * size - WORLD_M / 2, top: WORLD_M / 2 - upper * size, metres: size / TILE_PX };
        last = { z, range: around, picture };
        return picture;
      }
      return null;
    },
  };
}

/** Whether a range has all tiles of another one. */
function holds([left, top, right, bottom]: Range, [first, upper, end, lower]: Range): boolean {
  return left <= first && top <= upper && right >= end && bottom >= lower;
}
