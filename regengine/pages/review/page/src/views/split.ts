// Photo and map beside each other, or one above the other where the photo is larger then; and the
// line between them, which gives one of them more room.

import { remember, remembered } from "../work/browser";
import { element } from "../work/dom";

const MIN_SHARE = 0.15; // of the room
const STEP = 0.02;
const HALVES = 0.5;
// Where there is room, the photo above the map has more of it: it is what is judged
const ABOVE = 0.66;
const ROOMY_PX = 720;
const WORTH = 1.15; // so much larger the photo has to be

/** The line, put after the first view; `moved` is told when the views have other sizes. */
export function createSplit(first: HTMLElement, moved: () => void) {
  const host = first.parentElement!;
  const line = element("div", {
    id: "split",
    tabIndex: 0,
    title: "Drag to resize; double-click to reset",
    attributes: { role: "separator", "aria-label": "Room for photo and map" },
  });
  let share = HALVES;
  let shape = 1.5;
  let above = false;
  let usual = HALVES;
  const set = (next: number) => {
    share = Math.min(1 - MIN_SHARE, Math.max(MIN_SHARE, next));
    host.style.setProperty("--photo", `${share}fr`);
    host.style.setProperty("--map", `${1 - share}fr`);
    line.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    moved();
  };
  const chosen = (): number | null => remembered<{ share: number | null }>("split", { share: null }).share;
  const keep = (next: number | null) => {
    remember("split", { share: next });
    set(next ?? usual);
  };
  const arrange = () => {
    const { width, height } = host.getBoundingClientRect();
    above = Math.min(width, (height / 2) * shape) > WORTH * Math.min(width / 2, height * shape);
    host.dataset.split = above ? "above" : "beside";
    line.setAttribute("aria-orientation", above ? "horizontal" : "vertical");
    usual = above && height >= ROOMY_PX ? ABOVE : HALVES;
    set(chosen() ?? usual);
  };
  line.addEventListener("pointerdown", (event) => line.setPointerCapture(event.pointerId));
  line.addEventListener("pointermove", (event) => {
    if (!line.hasPointerCapture(event.pointerId)) return;
    const { left, top, width, height } = host.getBoundingClientRect();
    keep(above ? (event.clientY - top) / height : (event.clientX - left) / width);
  });
  line.addEventListener("dblclick", () => keep(null));
  line.addEventListener("keydown", (event) => {
    const [less, more] = above ? ["ArrowUp", "ArrowDown"] : ["ArrowLeft", "ArrowRight"];
    if (event.key !== less && event.key !== more) return;
    event.preventDefault();
    event.stopPropagation();
    keep(share + (event.key === more ? STEP : -STEP));
  });
  first.after(line);
  set(chosen() ?? HALVES);
  new ResizeObserver(arrange).observe(host);
  return {
    /** Width by height of the photo, upright. */
    setShape(next: number): void {
      shape = next;
      arrange();
    },
  };
}
