// Small versions of the photos, decoded off the main thread and kept for the frames at hand.

export const PREVIEW_PX = 2048;
const KEPT = 6; // 11 MB each at 3:2

export interface Previews {
  get(id: number): Promise<ImageBitmap>;
}

export function createPreviews(): Previews {
  const kept = new Map<number, Promise<ImageBitmap>>();
  return {
    get(id) {
      const known = kept.get(id);
      kept.delete(id);
      const wanted = known ?? load(id);
      kept.set(id, wanted); // newest last
      if (!known) wanted.catch(() => kept.delete(id));
      while (kept.size > KEPT) forgetOldest(kept);
      return wanted;
    },
  };
}

async function load(id: number): Promise<ImageBitmap> {
  const answer = await fetch(`/api/frames/${id}/preview.jpg?size=${PREVIEW_PX}`).catch(() => {
    throw new Error("The review server does not answer.");
  });
  if (!answer.ok) throw new Error(await sentence(answer));
  return createImageBitmap(await answer.blob());
}

async function sentence(answer: Response): Promise<string> {
  const said = (await answer.json().catch(() => ({}))) as { detail?: unknown };
  return typeof said.detail === "string" ? said.detail : `The photo cannot be shown (${answer.status}).`;
}

function forgetOldest(kept: Map<number, Promise<ImageBitmap>>): void {
  const oldest = kept.keys().next().value;
  if (oldest !== undefined) kept.delete(oldest);
}
