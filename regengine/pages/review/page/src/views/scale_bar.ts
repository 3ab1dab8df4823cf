// Scale bar and north arrow of a view. Both hold in one place of a photo: the middle of what is in view.

import { pixelToLonLat } from "../geometry/camera";
import { greatCircleKm } from "../geometry/earth";
import { element } from "../work/dom";
import { metres } from "../work/text";
import { northTurn } from "./ground";
import type { Stage } from "./stage";

const WIDEST_PX = 110;
const APART_PX = 20; // on the screen, between the two places that tell the scale
const TITLE = "Scale and north in the middle of the view";
const OF_PHOTO = `${TITLE}: elsewhere in a photo both are others`;

export function addScaleBar(stage: Stage): void {
  const { side, host, work } = stage;
  const bar = element("div", { className: "bar" });
  const arrow = element("div", { className: "north" }, "N");
  const box = element("div", { className: "view-scale", title: side === "photo" ? OF_PHOTO : TITLE, attributes: { role: "img" } }, arrow, bar);
  host.append(box);
  stage.map.on("postrender", () => {
    const { camera } = work;
    const [a, b] = stage.ends(APART_PX).map((at) => (side === "map" ? at : camera && pixelToLonLat(camera, ...at)));
    box.hidden = !a || !b;
    if (!a || !b) return;
    const kmOfPixel = greatCircleKm(a, b) / APART_PX;
    const km = roundBelow(kmOfPixel * WIDEST_PX);
    bar.textContent = km < 1 ? metres(1000 * km) : `${km} km`;
    bar.style.width = `${km / kmOfPixel}px`;
    box.setAttribute("aria-label", `${bar.textContent}: scale in the middle of the view`);
    const north = side === "photo" && camera ? northTurn(camera, stage.position(stage.view.getCenter()!)) : 0;
    arrow.style.transform = `rotate(${stage.view.getRotation() - (north ?? 0)}rad)`;
  });
}

/** 1, 2 or 5 times a power of ten, not above a number. */
export function roundBelow(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most));
  return power * [5, 2, 1].find((step) => step * power <= most)!;
}
