// Tiles of a photo as textures: asked for once, decoded off the main thread, the last ones kept.

import type { Frame } from "../types";
import { link } from "../work/link";
import type { DetailTile } from "./detail";

const KEPT = 120; // 1 MB each; more than are drawn at once

export interface TileTextures {
  /** The tile, if it is there; else it is on its way, and `loaded` tells when it has come. */
  get(tile: DetailTile): ImageBitmap | null;
}

export function createTileTextures(frame: Frame, loaded: () => void): TileTextures {
  const kept = new Map<string, ImageBitmap | null>();
  const load = async (path: string, key: string) => {
    const answer = await fetch(path);
    if (answer.status === 401 || answer.status >= 500) throw new Error(answer.statusText);
    if (!answer.ok) return;
    kept.set(key, await createImageBitmap(await answer.blob()));
    loaded();
  };
  return {
    get({ z, x, y }) {
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
