// Another camera and its points beside those in view: of a person, or of the engine.

import { pixelToLonLat } from "../geometry/camera";
import { greatCircleKm } from "../geometry/earth";
import type { Camera, Point } from "../types";
import { element, redraw } from "./dom";
import { spreadPixels } from "./draft";

export interface Opinion {
  /** Whose it is: "Ada's", "Hypothesis 2". */
  name: string;
  camera: Camera;
  points: Point[];
  hypothesis: number | null;
}

/** Less reads as nothing. */
const SAME_KM = 0.005;

/** How far two cameras have the photo's pixels from each other on the ground, km: in the middle of all
 *  and at most; null where none of it is ground for both. */
export function kmApart(one: Camera, other: Camera): { median: number; most: number } | null {
  const found = spreadPixels(one).flatMap(([x, y]) => {
    const [a, b] = [pixelToLonLat(one, x, y), pixelToLonLat(other, x, y)];
    return a && b ? [greatCircleKm(a, b)] : [];
  });
  found.sort((a, b) => a - b);
  return found.length === 0 ? null : { median: found[found.length >> 1]!, most: found.at(-1)! };
}

/** How a second opinion differs from the camera in view, and what can be done with it. */
export function showOpinion(
  host: HTMLElement,
  opinion: Opinion | null,
  camera: Camera | null,
  acts: { take: (() => void) | null; hide: () => void },
): void {
  const apart = opinion && camera && kmApart(opinion.camera, camera);
  const told = !apart
    ? "shows other ground than the current camera"
    : apart.most < SAME_KM
      ? "same ground as the current camera"
      : `${apart.median.toFixed(2)} km from the current camera (median), at most ${apart.most.toFixed(2)} km`;
  redraw(
    host,
    opinion && element("p", { className: "new" }, element("strong", {}, `${opinion.name} (dashed): `), `${told}. `,
      acts.take && element("button", { id: "take-opinion", type: "button", className: "quiet", onclick: acts.take }, "Take it"),
      " ",
      element("button", { id: "hide-opinion", type: "button", className: "quiet", onclick: acts.hide }, "Hide it"),
    ),
  );
}
