// The control points with their residuals, and how the camera is solved from them.

import { api } from "./api";
import type { Editor } from "./editor";
import { isHeld } from "./draft";
import { element, redraw } from "./dom";
import { wait } from "./notices";
import type { Free } from "./live_solve";
import { count, metres, pixels } from "./text";

const FREE_WORDS: [Free, string][] = [
  ["auto", "what the points can bear"],
  ["attitude", "attitude only (3 degrees of freedom)"],
  ["focal", "attitude and focal length"],
  ["position", "attitude, focal length and position"],
  ["all", "attitude, focal length, position and distortion"],
];

export function showPoints(host: HTMLElement, editor: Editor): void {
  const { points, camera } = editor.draft;
  const residuals = editor.residuals;
  const strict = editor.solution?.attitudeOnly ?? new Map();
  redraw(
    host,
    element("h3", {}, `Control points (${points.length})`),
    points.length === 0
      ? element("p", { className: "hint" }, "None yet. Add points with the tool Add, in the photo and on the map.")
      : table(),
    points.length > 0 && solving(),
    points.length > 0 &&
      element(
        "button",
        { type: "button", className: "quiet", title: TO_QGIS, onclick: () => wait(write()) },
        "To QGIS",
      ),
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
    const head = ["", "Residual", "Ground", ...(strict.size > 0 ? ["3 d.o.f."] : []), "Held"];
    return element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col", title: TITLES[text] ?? "" }, text)))),
      element("tbody", {}, ...points.map((_, index) => line(index))),
    );
  }

  function line(index: number): HTMLElement {
    const point = points[index];
    const residual = residuals[index] ?? null;
    const held = point !== undefined && isHeld(point);
    const row = element(
      "tr",
      { onclick: () => editor.select(index), data: { suspect: String(residual?.suspect ?? false) } },
      element(
        "th",
        { scope: "row" },
        element(
          "button",
          {
            id: `point-${index}`,
            type: "button",
            onclick: () => editor.select(index),
            attributes: { "aria-pressed": String(index === editor.selected), "aria-label": `Select point ${index + 1}` },
          },
          index + 1,
        ),
      ),
      element("td", {}, held || residual ? pixels(residual?.residual_px ?? null) : "from camera", residual?.suspect ? element("strong", {}, " suspect") : null),
      element("td", {}, metres(residual?.residual_m ?? null)),
      strict.size > 0 && element("td", {}, pixels(strict.get(index)?.residual_px ?? null)),
      element(
        "td",
        {},
        held
          ? element("span", { title: point.origin === "snap" ? "Snapped to the map" : "Set by a person" }, point.origin === "snap" ? "snap" : "yes")
          : element(
              "button",
              {
                id: `hold-${index}`,
                type: "button",
                disabled: editor.readonly,
                title: "This point is right: solve the camera from it (K)",
                onclick: () => editor.hold(index),
                attributes: { "aria-label": `Hold point ${index + 1}` },
              },
              "hold",
            ),
      ),
    );
    row.classList.toggle("selected", index === editor.selected);
    return row;
  }

  function solving(): HTMLElement {
    return element(
      "details",
      { className: "solving", open: solvingOpen, ontoggle: (event) => (solvingOpen = (event.target as HTMLDetailsElement).open) },
      element("summary", {}, "How the camera is solved"),
      element("label", { htmlFor: "free" }, "Free"),
      element(
        "select",
        {
          id: "free",
          onchange: (event) => editor.setSolving({ free: (event.target as HTMLSelectElement).value as Free }),
        },
        ...FREE_WORDS.map(([value, text]) => element("option", { value, selected: value === editor.free }, text)),
      ),
      element(
        "label",
        { className: "check" },
        element("input", {
          id: "hold-all",
          type: "checkbox",
          checked: editor.holdAll,
          onchange: (event) => editor.setSolving({ holdAll: (event.target as HTMLInputElement).checked }),
        }),
        "Points that I did not touch count, too",
      ),
    );
  }
}

let solvingOpen = false;

const TO_QGIS = "Save the points as a .points file, which QGIS's georeferencer opens";

const TITLES: Record<string, string> = {
  Residual: "Between the point and where the camera has its place, in pixels of the photo",
  Ground: "The same on the ground",
  "3 d.o.f.": "Residual where only the attitude of the camera is solved: a bad point shows",
  Held: "Points that a person stands behind; the others follow the camera",
};

function outcome(editor: Editor): string {
  if (editor.problem !== null) return editor.problem;
  const held = editor.draft.points.filter(isHeld).length;
  const answer = editor.solution?.answer;
  if (answer) {
    const freed = answer.freed.length === 0 ? "" : `; freed: ${answer.freed.join(", ")}`;
    const fit = `${count(held, "point")} held, RMS ${pixels(answer.rms_px)}, ${metres(answer.rms_m)}${freed}.`;
    return answer.warning === null ? fit : `${fit} ${answer.warning}`;
  }
  if (editor.solution !== null) return "One point turns the camera; the others follow it.";
  if (held === 0 && editor.draft.points.length > 0) {
    const found = editor.draft.points.some((point) => point.origin === "search");
    return `${found ? "Found by the search; the" : "The"} points follow the camera. Drag one to correct it.`;
  }
  return held === 0 ? "" : `${count(held, "point")} held.`;
}

