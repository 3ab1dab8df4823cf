// Pictures of the photos, decoded off the main thread and kept for the frames at hand: small versions,
// and the photo in view at full size where that is asked for.

import type { Frame } from "../types";
import { Kept, request } from "../work/api";
import { link } from "../work/link";

export const PREVIEW_PX = 2048;
const KEPT = 6; // 11 MB each at 3:2
export const previews = new Kept((id: number) => loadPicture(`frames/${id}/preview.jpg?size=${PREVIEW_PX}`), KEPT);
const wholes = new Kept(loadPicture, 1); // up to 200 MB

/** A picture of the server, by its address under /api/. */
export async function loadPicture(path: string): Promise<ImageBitmap> {
  const answer = await request("GET", path);
  return createImageBitmap(await answer.blob());
}

/** The photo at full size, if it is there; else it is on its way, and `loaded` tells when it has come. */
export type Sharper = () => ImageBitmap | null;

export function sharper({ id, sha256, width_px }: Frame, loaded: () => void): Sharper {
  let [whole, asked]: [ImageBitmap | null, boolean] = [null, (width_px ?? 0) <= PREVIEW_PX];
  return () => {
    if (!asked) {
      asked = true;
      // It names the photo's content, so that browsers keep it for ever
      wholes.get(`frames/${id}/photo.jpg?v=${sha256.slice(0, 16)}`).then(
        (come) => {
          whole = come;
          loaded();
        },
        () => {
          asked = false; // asked for again later
          link.lost();
        },
      );
    }
    return whole;
  };
}
