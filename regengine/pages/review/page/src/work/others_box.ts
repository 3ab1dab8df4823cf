// What people decided on the frame, and the hypotheses of the engine to start from.

import type { Decision, Frame } from "../types";
import type { Opinion } from "./second_opinion";
import type { Editor } from "./editor";
import { element, redraw, refill } from "./dom";
import { choose, proposalShown } from "./draft";
import { clearGround } from "./residuals";
import { CHOICE_WORDS, lonLat, NOT_INDEPENDENT, utc } from "./text";

const WHY_NOT_INDEPENDENT =
  "Not independent: accepted with points that only follow their own camera. Check them, and decide again.";

/** "Accepted by Ann, 2026-01-31 12:00:00 UTC". */
function decisionLine(decision: Decision): string {
  const choice = CHOICE_WORDS[decision.decision];
  return `${choice[0]?.toUpperCase()}${choice.slice(1)} by ${decision.reviewer}, ${utc(decision.time_utc)}`;
}

export function showDecisions(
  host: HTMLElement,
  decisions: Decision[],
  editor: Editor,
  compare: Compare,
  history: (() => void) | null,
): void {
  const differ = new Set(decisions.map((each) => each.decision)).size > 1;
  refill(
    host,
    decisions.length > 0 && element("h3", {}, "Decisions"),
    differ && element("p", { className: "disputed" }, "Disputed: reviewers disagree on this frame."),
    decisions[0]?.independent === false && element("p", { className: "disputed" }, WHY_NOT_INDEPENDENT),
    decisions.length > 0 && decisionList(decisions, editor, compare),
    history !== null &&
      decisions.length > 0 &&
      element("button", { type: "button", className: "quiet", onclick: history }, "All earlier decisions"),
  );
}

/** A second opinion is to be drawn over what is in view. */
export type Compare = (opinion: Opinion) => void;

export function decisionList(decisions: Decision[], editor: Editor, compare: Compare): HTMLElement {
  return element(
    "ul",
    { className: "decisions" },
    ...decisions.map((decision) =>
      element(
        "li",
        { data: { choice: decision.decision } },
        decisionLine(decision),
        !decision.independent && element("strong", { title: WHY_NOT_INDEPENDENT }, `; ${NOT_INDEPENDENT}`),
        decision.quality !== null && `; quality ${decision.quality}`,
        decision.tags.length > 0 && `; ${decision.tags.join(", ")}`,
        decision.comment !== "" && element("q", {}, decision.comment),
        decision.camera !== null &&
          element(
            "button",
            { type: "button", className: "quiet", title: OVER, onclick: () => compare({ ...decision, camera: decision.camera!, name: `${decision.reviewer}'s` }) },
            "Compare",
          ),
        decision.camera !== null &&
          !editor.readonly &&
          element(
            "button",
            { type: "button", className: "quiet", onclick: () => editor.take(`took ${decision.reviewer}'s`, decision.camera, decision.points, decision.hypothesis) },
            "Use these points",
          ),
      ),
    ),
  );
}

const OVER = "Draw it over the current camera, with the distance between the two";

export function showHypotheses(host: HTMLElement, frame: Frame, editor: Editor, compare: Compare): void {
  const shown = proposalShown(editor.draft, frame);
  redraw(
    host,
    frame.hypotheses.length > 1 && element("h3", {}, "Hypotheses"),
    frame.hypotheses.length > 1 &&
      element(
        "div",
        { className: "hypotheses", attributes: { role: "group", "aria-label": "Hypotheses of the engine" } },
        ...frame.hypotheses.flatMap((hypothesis, i) => [
          element(
            "button",
            {
              id: `hypothesis-${hypothesis.rank}`,
              type: "button",
              disabled: editor.readonly,
              onclick: () => editor.choose(hypothesis),
              attributes: { "aria-pressed": String(shown === i) },
            },
            i < 9 && element("kbd", {}, i + 1),
            hypothesis.place ?? (hypothesis.centre === null ? "place unknown" : lonLat(hypothesis.centre)),
            hypothesis.ncc !== null && `, correlation ${hypothesis.ncc.toFixed(2)}`,
          ),
          element(
            "button",
            {
              id: `compare-${hypothesis.rank}`,
              type: "button",
              className: "quiet",
              title: OVER,
              onclick: () => {
                const { camera, points } = choose(editor.draft, frame, hypothesis, clearGround);
                if (camera !== null) compare({ name: `Hypothesis ${i + 1}`, camera, points, hypothesis: hypothesis.rank });
              },
              attributes: { "aria-label": `Compare with hypothesis ${i + 1}` },
            },
            "Compare",
          ),
        ]),
      ),
  );
}
