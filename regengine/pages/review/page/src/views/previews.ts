// Small versions of the photos, decoded off the main thread and kept for the frames at hand.

import { Kept } from "../work/kept";

export const PREVIEW_PX = 2048;
const KEPT = 6; // 11 MB each at 3:2
export const previews = new Kept(load, KEPT);

async function load(id: number): Promise<ImageBitmap> {
  const answer = await fetch(`/api/frames/${id}/preview.jpg?size=${PREVIEW_PX}`).catch(() => {
    throw new Error("The review server does not answer.");
  });
  if (answer.ok) return createImageBitmap(await answer.blob());
  const { detail } = (await answer.json().catch(() => ({}))) as { detail?: unknown };
  throw new Error(typeof detail === "string" ? detail : `The photo cannot be shown (${answer.status}).`);
}
