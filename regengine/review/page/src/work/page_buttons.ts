// The buttons of the page: which actions have one, and where.

import type { Action } from "./keys";
import type { Review } from "./review";
import { buttons, type Buttons } from "./toolbar";

export interface PageButtons extends Record<string, Buttons> {
  page: Buttons;
  view: Buttons;
  tool: Buttons;
  points: Buttons;
  engine: Buttons;
  decide: Buttons;
}

/** `open`: whether these parts of the page are. */
export function pageButtons(
  actions: Action[],
  review: Review,
  open: { adjust: () => boolean; queue: () => boolean },
): PageButtons {
  return {
    page: buttons(
      actions,
      { full: { text: "Full screen" }, queue: { text: "Queue", pressed: open.queue }, stats: { text: "Agreement" }, help: { text: "Keys" } },
      "Page",
    ),
    view: buttons(
      actions,
      {
        layout: { text: "Over the map", pressed: () => review.layout === "over" },
        through: { text: "In the photo", pressed: () => review.layout === "through" },
        flicker: { text: "Flicker" },
        fit: { text: "Fit" },
        adjust: { text: "Adjust", pressed: open.adjust },
      },
      "View",
    ),
    tool: buttons(
      actions,
      {
        select: { text: "Select", pressed: () => review.tool === "select" },
        add: { text: "Add", pressed: () => review.tool === "add" },
        place: { text: "Place", pressed: () => review.tool === "place" },
        horizon: { text: "Horizon" },
      },
      "Tool",
    ),
    points: buttons(
      actions,
      { undo: { text: "Undo" }, redo: { text: "Redo" }, delete: { text: "Delete" }, snap: { text: "Snap" } },
      "Points",
    ),
    engine: buttons(actions, { search: { text: "Search from here" } }, "Engine"),
    decide: buttons(
      actions,
      {
        accept: { text: "Accept", className: "accept" },
        reject: { text: "Reject", className: "reject" },
        unsure: { text: "Unsure" },
        skip: { text: "Skip" },
      },
      "Decide",
    ),
  };
}
