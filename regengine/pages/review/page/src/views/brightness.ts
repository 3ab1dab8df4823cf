// How bright photo and map are shown, and by which colours: tables of tones that the browser applies,
// through the variables --tone-… and --opacity-… of the page's styles.

import type { Adjust, Side } from "../types";
import { element, toggle } from "../work/dom";
import { colourOf, isPlain, MAP_STRETCH, NEUTRAL, photoStretch, PLAIN, type Tint, toneTable } from "./tone";

const SVG = "http://www.w3.org/2000/svg";
const GREY = `${"0.4 0.4 0.2 0 0 ".repeat(3)}0 0 0 1 0`;
const LEGEND = "Photo red, map cyan, both white";
const SAMPLE_PX = 256; // of the photo's width: enough to know its tones

/** `views`: those of photo and map. */
export function createBrightness(views: [HTMLElement, HTMLElement]) {
  const draw = { photo: tonesOf("photo", views[0]), map: tonesOf("map", views[1]) };
  const adjusts: Record<Side, Adjust> = { photo: NEUTRAL, map: NEUTRAL };
  let photo = PLAIN;
  const over = [false, false];
  const brighten = toggle("Brighten", "Stretch the brightness of photo and map", true, refresh);
  const difference = toggle("Difference", `Compare by colour: ${LEGEND.toLowerCase()}`, false, refresh, 2);
  const legends = views.map((view) => {
    const legend = element("div", { className: "view-legend" }, LEGEND);
    view.append(legend);
    return legend;
  });

  function refresh(): void {
    const apart = difference.pressed();
    const tint = apart && over.includes(true) ? "apart" : "own";
    draw.photo(brighten.pressed() ? photo : PLAIN, adjusts.photo, tint);
    draw.map(brighten.pressed() ? MAP_STRETCH : PLAIN, adjusts.map, tint);
    over.forEach((on, i) => {
      difference.buttons[i]!.hidden = !on;
      legends[i]!.hidden = !(on && apart);
    });
  }
  refresh();
  return {
    brighten: brighten.buttons,
    difference: difference.buttons,
    set(side: Side, adjust: Adjust): void {
      adjusts[side] = adjust;
      refresh();
    },
    setPhoto(preview: ImageBitmap | null): void {
      photo = PLAIN;
      if (preview) {
        const width = Math.min(SAMPLE_PX, preview.width);
        const height = Math.max(1, Math.round((preview.height * width) / preview.width));
        const context = element("canvas", { width, height }).getContext("2d", { willReadFrequently: true })!;
        context.imageSmoothingEnabled = false; // averages would hide the brightest lights
        context.drawImage(preview, 0, 0, width, height);
        photo = photoStretch(context.getImageData(0, 0, width, height).data);
      }
      refresh();
    },
    /** Whether something lies over something, in the photo's view and the map's. */
    setOver(photo: boolean, map: boolean): void {
      if (over[0] === photo && over[1] === map) return;
      [over[0], over[1]] = [photo, map];
      refresh();
    },
  };
}

/** The filter of a side; what it gives draws it anew. */
function tonesOf(side: Side, host: HTMLElement) {
  const make = (name: string, attributes: Record<string, string>, ...inside: SVGElement[]) => {
    const made = document.createElementNS(SVG, name) as SVGElement;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...inside);
    return made;
  };
  const channels = ["feFuncR", "feFuncG", "feFuncB"].map((name) => make(name, { type: "table" }));
  const grey = make("feColorMatrix", { type: "matrix", values: GREY });
  const filter = make(
    "filter",
    { id: `view-tone-${side}`, "color-interpolation-filters": "sRGB" },
    make("feComponentTransfer", {}, ...channels),
  );
  host.append(make("svg", { class: "view-filters", "aria-hidden": "true" }, filter));
  const { style } = document.documentElement;
  return (stretch: typeof PLAIN, adjust: Adjust, tint: Tint): void => {
    // A filter costs time: none where nothing is to change
    const same = side === "photo" && tint === "own" && isPlain(stretch, adjust);
    const colours = toneTable(stretch, adjust).map((level) => colourOf(side, tint, level));
    channels.forEach((channel, i) => {
      channel.setAttribute("tableValues", colours.map((colour) => colour[i]!.toFixed(4)).join(" "));
    });
    if (side === "photo" && tint === "apart") filter.prepend(grey);
    else grey.remove();
    style.setProperty(`--tone-${side}`, same ? "none" : `url(#view-tone-${side})`);
    style.setProperty(`--opacity-${side}`, String(adjust.opacity));
  };
}
