// The control points with their residuals, and how the camera is solved from them.

import { api } from "./api";
import type { Editor } from "./editor";
import { isIndependent } from "./draft";
import { agreement } from "./evidence";
import { button, element, quiet, refill } from "./dom";
import { wait } from "./notices";
import type { Review } from "./review";
import type { Origin, Point, PointResidual } from "../types";
import { count, joined, MIN_SHOWN_PX, lonLat, metres, MISSING, pixels } from "./text";

type Sorting = "number" | "map" | "residual";

/** What the table is sorted by, the worst point first. */
export let sorting: Sorting = "number";

export function showPoints(host: HTMLElement, review: Review): void {
  const { editor, evidence } = review;
  const { points, camera } = editor.draft;
  const { residuals } = editor;
  const strict = editor.solution?.attitudeOnly ?? new Map();
  const none = "None yet. Add points in the photo and on the map with the tool Add (P).";
  const some = points.length > 0;
  refill(
    host,
    element("h3", {}, `Control points (${points.length})`),
    some ? table() : element("p", { className: "hint" }, none),
    selectedPoint(),
    some && quiet("To QGIS", () => wait(write()), { title: TO_QGIS }),
    element("p", { className: "outcome", attributes: { role: "status" } }, outcome(editor)),
  );

  async function write(): Promise<void> {
    if (editor.frame === null) return;
    const { name, text } = await api.pointsFile(editor.frame.id, points, camera);
    const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  function table(): HTMLElement {
    const heads: [string, Sorting | null][] = [["#", "number"], ["Map", "map"], ["Residual", "residual"]];
    if (strict.size > 0) heads.push(["3 d.o.f.", null]);
    heads.push(["Confirmed", null]);
    const order = [...points.keys()].sort((a, b) => worth(b) - worth(a) || a - b);
    return element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...heads.map(([text, by]) => head(text, by)))),
      element("tbody", {}, ...order.map((index) => line(points[index]!, index))),
    );
  }

  function head(text: string, by: Sorting | null): HTMLElement {
    const title = TITLES[text] ?? "";
    if (by === null) return element("th", { scope: "col", title }, text);
    const sort = (): void => {
      sorting = by;
      editor.select(editor.selected);
    };
    const order = by !== sorting ? null : by === "number" ? "ascending" : "descending";
    return element("th", { scope: "col", attributes: { "aria-sort": order } }, button(text, sort, { id: `sort-${by}`, title }));
  }

  /** How far up a point stands: with the largest at the top. */
  function worth(index: number): number {
    const point = points[index];
    if (sorting === "number" || point === undefined) return 0;
    if (sorting === "residual") return residuals[index]?.residual_px ?? -1;
    const { off_px = -1, sigma_px = 1 } = evidence.of(point) ?? {};
    return off_px === null || sigma_px === null ? -0.5 : off_px / sigma_px;
  }

  /** How far the map's light lies from the photo's at the point. */
  function onMap(point: Point): HTMLElement {
    const known = evidence.of(point);
    if (known === undefined) return element("td", { title: COMPARING }, MISSING);
    const level = agreement(known);
    const text = known.off_px === null ? "none" : pixels(known.off_px);
    const precision = known.sigma_px === null ? (known.why ?? "") : `± ${pixels(known.sigma_px)}: ${LEVEL_WORDS[level]}`;
    return element("td", { title: precision, data: { agreement: level } }, text, level === "off" && element("strong", {}, " off"));
  }

  function selectedPoint(): HTMLElement | false {
    const index = editor.selected;
    const point = index === null ? undefined : points[index];
    if (point === undefined || index === null) return false;
    const residual = residuals[index] ?? null;
    const lies = joined(
      residual !== null && residual.residual_px >= MIN_SHOWN_PX && `dx ${signed(residual.dx_px)}, dy ${signed(residual.dy_px)} px`,
      point.sigma_px !== null && `± ${pixels(point.sigma_px)}`,
      point.off ? "switched off" : HOW[point.origin][0],
    );
    const where = `x ${point.x.toFixed(1)}, y ${point.y.toFixed(1)}; ${lonLat([point.lon, point.lat])}`;
    return element("p", { className: "point" }, `${index + 1}: ${where}; ${lies}. `, quiet("Zoom to it", () => review.views?.zoomTo(index)));
  }

  function line(point: Point, index: number): HTMLElement {
    const residual = residuals[index] ?? null;
    const held = isIndependent(point, camera);
    const number = index + 1;
    const pressed = String(index === editor.selected);
    const using = element("input", {
      id: `use-${index}`,
      type: "checkbox",
      checked: !point.off,
      disabled: editor.readonly,
      title: "Off: the point is not used in the fit and does not count (Shift X)",
      onclick: (event) => event.stopPropagation(),
      onchange: () => editor.switchPoint(index),
      attributes: { "aria-label": `Point ${number} counts` },
    });
    const selecting = button(number, () => editor.select(index), {
      id: `point-${index}`,
      attributes: { "aria-pressed": pressed, "aria-label": `Select point ${number}` },
    });
    const confirming = button("confirm", () => wait(review.confirm(index)), {
      id: `hold-${index}`,
      disabled: editor.readonly,
      title: "Confirm this point: as measured by the engine, else snapped to the map (K)",
      attributes: { "aria-label": `Confirm point ${number}` },
    });
    const [how, why] = HOW[point.origin];
    return element(
      "tr",
      {
        onclick: () => editor.select(index),
        ondblclick: () => review.views?.zoomTo(index),
        className: [point.off && "off", index === editor.selected && "selected"].filter(Boolean).join(" "),
        data: { suspect: String(residual?.suspect ?? false) },
      },
      element("th", { scope: "row" }, using, selecting),
      onMap(point),
      residualCell(point, residual, held),
      strict.size > 0 && element("td", {}, pixels(strict.get(index)?.residual_px ?? null)),
      element("td", { title: held ? why : "" }, point.off ? "off" : held ? how : confirming),
    );
  }

  function residualCell(point: Point, residual: PointResidual | null, held: boolean): HTMLElement {
    // A camera that goes through its points whatever they are tells nothing by that
    const unchecked = held && isUnchecked(editor) && residual !== null && residual.residual_px < MIN_SHOWN_PX;
    const confirmed = points.filter((each) => isIndependent(each, camera)).length;
    const title = unchecked ? notCheckable(confirmed) : held || point.off ? "" : MEASURED;
    const nothing = held || point.off ? MISSING : "follows";
    const text = unchecked ? MISSING : residual === null ? nothing : pixels(residual.residual_px);
    return element(
      "td",
      { className: "residual", title },
      text,
      !unchecked && residual?.residual_m != null && element("span", { className: "ground" }, metres(residual.residual_m)),
      residual?.suspect && element("strong", {}, " suspect"),
    );
  }
}

const TO_QGIS = "Save the points as a .points file for QGIS's georeferencer";

const TITLES: Record<string, string> = {
  "#": "Number of the point; double-click its row to zoom both views to it",
  Map: "Offset between photo and map at the point, independent of the camera",
  Residual: "Distance between the point and its place as the camera projects it: in pixels of the photo, and on the ground",
  "3 d.o.f.": "Residual when only the attitude of the camera is fitted: a bad point stands out",
  Confirmed: "Points confirmed by a person; the others follow the camera",
};

/** Never -0.0. */
function signed(value: number): string {
  return Math.abs(value) < MIN_SHOWN_PX ? "0" : value.toFixed(1);
}

const COMPARING = "Not compared yet: photo and map are compared shortly after the last change";

const LEVEL_WORDS = {
  agrees: "photo and map agree",
  near: "a larger offset than chance gives once in a thousand",
  off: "photo and map disagree",
  unknown: "not compared",
};

const MEASURED = "The point follows the camera; a number is its distance from where the engine measured it";

/** How a point came to lie where it does: in a word, and where a person confirmed it in a sentence. */
const HOW: Record<Origin, [string, string]> = {
  engine: ["follows the camera", ""],
  search: ["found by a search", ""],
  person: ["by hand", "Clicked or dragged by a person"],
  snap: ["snapped", "Snapped to the map"],
  confirmed: ["measured", "Confirmed as the engine measured it"],
};

/** Of so many observations beyond what is free, the residuals begin to tell. */
const MIN_OVER = 2;

function isUnchecked({ solution }: Editor): boolean {
  return (solution?.answer?.over ?? 0) < MIN_OVER;
}

/** Why residuals say nothing yet, and what to do. */
function notCheckable(confirmed: number): string {
  return `Not checkable yet: add a ${ORDINALS[confirmed] ?? "further"} point`;
}

const ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"];

function outcome(editor: Editor): string {
  if (editor.problem !== null) return editor.problem;
  const { camera, points } = editor.draft;
  const held = points.filter((each) => isIndependent(each, camera)).length;
  const off = points.filter((each) => each.off).length;
  const aside = off === 0 ? "" : ` ${count(off, "point")} switched off.`;
  const answer = editor.solution?.answer;
  if (answer) {
    const fitted = answer.freed.length === 0 ? "" : `; fitted: ${answer.freed.join(", ")}`;
    const rms = `RMS ${pixels(answer.rms_px)}, ${metres(answer.rms_m)} (redundancy ${answer.over}${fitted})`;
    const fit = `${count(held, "point")} confirmed. ${isUnchecked(editor) ? notCheckable(held) : rms}.`;
    return `${fit}${aside}${answer.warning === null ? "" : ` ${answer.warning}`}`;
  }
  if (editor.solution !== null) return `1 point confirmed: it turns the camera, and the others follow. ${notCheckable(1)}.${aside}`;
  if (held === 0 && points.length > 0) {
    const found = points.some((point) => point.origin === "search");
    return `${found ? "Found by the search. The" : "The"} points follow the camera: drag one to correct it.${aside}`;
  }
  return held === 0 ? "" : `${count(held, "point")} confirmed.${aside}`;
}

