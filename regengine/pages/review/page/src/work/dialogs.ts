// The dialogs of the page: help with all keys, history of a frame.

import type { Decision } from "../types";
import { remember } from "./browser";
import { element } from "./dom";
import { type Compare, decisionList } from "./frame_boxes";
import { type Keyboard, keyLabel } from "./keys";

function open(title: string, ...content: Node[]): HTMLDialogElement {
  const close = element("form", { method: "dialog" }, element("button", { autofocus: true }, "Close"));
  const heading = element("div", { className: "heading" }, element("h2", { id: "dialog-title" }, title), close);
  const dialog = element("dialog", { attributes: { "aria-labelledby": "dialog-title" } }, heading, ...content);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export function showHelp(keyboard: Keyboard): void {
  const groups = [...new Set(keyboard.actions.map((action) => action.group))];
  open(
    "Keys",
    element("p", {}, HOW),
    element(
      "div",
      { className: "keys" },
      ...groups.map((group) =>
        element(
          "section",
          {},
          element("h3", {}, group),
          element("dl", {}, ...keyboard.actions.filter((action) => action.group === group).flatMap(({ keys, label }) => {
            const shown = keys.flatMap((key, i) => [i > 0 ? " " : null, element("kbd", {}, keyLabel(key))]);
            return [element("dt", {}, ...shown), element("dd", {}, label)];
          })),
        ),
      ),
    ),
    element(
      "label",
      { className: "check" },
      element("input", {
        type: "checkbox",
        checked: keyboard.letters,
        onchange: (event) => {
          keyboard.letters = (event.target as HTMLInputElement).checked;
          remember("keys", { letters: keyboard.letters });
        },
      }),
      "Use single letters as commands",
    ),
    element("p", { className: "hint" }, SOURCES),
  );
}

const HOW =
  "A proposal is right if the photo matches the map: lights on lights, streets on streets, ground on ground. Hold F to compare. " +
  "If it is wrong, drag a point to its place: the camera and the points that you did not touch follow.";

const SOURCES = "Place names: GeoNames (geonames.org), CC BY 4.0. Coast, borders, lakes: Natural Earth.";

export function showHistory(decisions: Decision[], compare: Compare): void {
  const dialog = open("All decisions on this frame", decisionList(decisions, compare));
  dialog.addEventListener("click", (event) => {
    if ((event.target as HTMLElement).matches(".quiet")) dialog.close();
  });
}
