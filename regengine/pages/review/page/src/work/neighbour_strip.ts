// What the same camera took moments before and after: a series is reviewed as one.

import type { Neighbour } from "../types";
import { element, redraw } from "./dom";
import type { Editor } from "./editor";
import { picture } from "./queue_list";
import { CHOICE_WORDS, seconds, VERDICT_WORDS } from "./text";

export interface NeighbourActs {
  open: (id: number) => void;
  /** The frame in view gets the neighbour's camera. */
  copy: (neighbour: Neighbour) => void;
}

export function showNeighbours(host: HTMLElement, neighbours: Neighbour[], editor: Editor, { open, copy }: NeighbourActs): void {
  redraw(
    host,
    neighbours.length > 0 && element("h3", {}, "Moments before and after"),
    element(
      "ul",
      { className: "strip" },
      ...neighbours.map((each) =>
        element(
          "li",
          {},
          element(
            "button",
            { id: `neighbour-${each.id}`, type: "button", className: "quiet", title: `Open ${each.frame}`, onclick: () => open(each.id) },
            picture(each),
            element("span", {}, seconds(each.seconds)),
          ),
          element("span", { data: each.decision === null ? { verdict: each.verdict } : { choice: each.decision } }, each.decision === null ? VERDICT_WORDS[each.verdict] : CHOICE_WORDS[each.decision]),
          each.camera !== null &&
            !editor.readonly &&
            element(
              "button",
              {
                id: `copy-${each.id}`,
                type: "button",
                className: "quiet",
                title: `Start from the camera of ${each.frame}, moved along the orbit: its points are guesses to be confirmed`,
                onclick: () => copy(each),
                attributes: { "aria-label": `Copy the camera of ${each.frame}` },
              },
              "Copy camera",
            ),
        ),
      ),
    ),
  );
}
