// What stands beside the frame in view: what people decided, the engine's hypotheses, a second opinion,
// the steps of the work, and what the same camera took moments before and after.

import { pixelToLonLat } from "../geometry/camera";
import { greatCircleKm } from "../geometry/earth";
import type { Camera, Decision, Frame, Hypothesis, Neighbour } from "../types";
import { button, element, folded, quiet, refill } from "./dom";
import { choose, proposalShown, spreadPixels } from "./draft";
import type { Editor } from "./editor";
import { wait } from "./notices";
import { picture } from "./queue_list";
import type { Opinion, Review } from "./review";
import { CHOICE_WORDS, lonLat, NOT_INDEPENDENT, seconds, utc, VERDICT_WORDS } from "./text";

const WHY_NOT_INDEPENDENT =
  "Not independent: accepted with points that only follow their own camera. Check them, and decide again.";

/** "Accepted by Ann, 2026-01-31 12:00:00 UTC". */
export function decisionLine(decision: Decision): string {
  const choice = CHOICE_WORDS[decision.decision];
  return `${choice[0]?.toUpperCase()}${choice.slice(1)} by ${decision.reviewer}, ${utc(decision.time_utc)}`;
}

export function showDecisions(host: HTMLElement, decisions: Decision[], compare: Compare, history: () => void): void {
  const differ = new Set(decisions.map((each) => each.decision)).size > 1;
  refill(
    host,
    decisions.length > 0 && element("h3", {}, "Decisions"),
    differ && element("p", { className: "disputed" }, "Disputed: reviewers disagree on this frame."),
    decisions[0]?.independent === false && element("p", { className: "disputed" }, decisions[0].problem ?? WHY_NOT_INDEPENDENT),
    decisions.length > 0 && decisionList(decisions, compare),
    decisions.length > 0 && quiet("All earlier decisions", history),
  );
}

/** A second opinion is to be drawn over what is in view. */
export type Compare = (opinion: Opinion) => void;

export function decisionList(decisions: Decision[], compare: Compare): HTMLElement {
  const line = (decision: Decision) => {
    const { camera, reviewer } = decision;
    return element(
      "li",
      { data: { choice: decision.decision } },
      decisionLine(decision),
      !decision.independent && element("strong", { title: decision.problem ?? WHY_NOT_INDEPENDENT }, `; ${NOT_INDEPENDENT}`),
      decision.quality !== null && `; quality ${decision.quality}`,
      decision.tags.length > 0 && `; ${decision.tags.join(", ")}`,
      decision.comment !== "" && element("q", {}, decision.comment),
      camera !== null && quiet("Compare", () => compare({ ...decision, camera, name: `${reviewer}'s` }), { title: OVER }),
    );
  };
  return element("ul", { className: "decisions" }, ...decisions.map(line));
}

const OVER = "Draw it over the current camera, with the distance between the two";

export function showHypotheses(host: HTMLElement, frame: Frame, review: Review): void {
  const { editor } = review;
  const shown = proposalShown(editor.draft, frame);
  const some = frame.hypotheses.length > 1;
  const both = (hypothesis: Hypothesis, i: number): HTMLElement[] => {
    const { rank, place, centre, ncc } = hypothesis;
    const where = place ?? (centre === null ? "place unknown" : lonLat(centre));
    const text = [i < 9 && element("kbd", {}, i + 1), where, ncc !== null && `, correlation ${ncc.toFixed(2)}`];
    const choosing = button(text, () => editor.choose(hypothesis), {
      id: `hypothesis-${rank}`,
      disabled: editor.readonly,
      attributes: { "aria-pressed": String(shown === i) },
    });
    const shownBy = { ...choose(editor.draft, frame, hypothesis), camera: hypothesis.camera };
    const comparing = quiet("Compare", () => review.compare({ ...shownBy, name: `Hypothesis ${i + 1}` }), {
      id: `compare-${rank}`,
      title: OVER,
      attributes: { "aria-label": `Compare with hypothesis ${i + 1}` },
    });
    return [choosing, comparing];
  };
  const role = { role: "group", "aria-label": "Hypotheses of the engine" };
  refill(
    host,
    some && element("h3", {}, "Hypotheses"),
    some && element("div", { className: "hypotheses", attributes: role }, ...frame.hypotheses.flatMap(both)),
  );
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
export function showOpinion(host: HTMLElement, review: Review): void {
  const { opinion, editor } = review;
  const { camera } = editor.draft;
  const apart = opinion && camera && kmApart(opinion.camera, camera);
  const told = !apart
    ? "shows other ground than the current camera"
    : apart.most < SAME_KM
      ? "same ground as the current camera"
      : `${apart.median.toFixed(2)} km from the current camera (median), at most ${apart.most.toFixed(2)} km`;
  refill(
    host,
    opinion && element("p", { className: "new" }, element("strong", {}, `${opinion.name} (dashed): `), `${told}. `,
      !editor.readonly && quiet("Take it", () => review.takeOpinion(), { id: "take-opinion" }),
      " ",
      quiet("Hide it", () => review.compare(null), { id: "hide-opinion" }),
    ),
  );
}

export function showSteps(host: HTMLElement, editor: Editor): void {
  const { what, at } = editor.steps;
  const step = (text: string, index: number) =>
    button(text, () => editor.goTo(index), {
      id: `step-${index}`,
      className: index > at ? "undone" : "",
      disabled: editor.readonly,
      attributes: { "aria-current": index === at ? "step" : null },
    });
  const list = element("ol", {}, ...what.map((text, index) => element("li", {}, step(text, index))));
  refill(host, what.length > 1 && folded("steps-list", `Steps (${what.length - 1})`, list));
}

export function showNeighbours(host: HTMLElement, review: Review): void {
  const { neighbours, editor } = review;
  const item = (each: Neighbour): HTMLElement => {
    const { id, frame, verdict, decision } = each;
    const seen = [picture(each), element("span", {}, seconds(each.seconds))];
    const judged: Record<string, string> = decision === null ? { verdict } : { choice: decision };
    return element(
      "li",
      {},
      quiet(seen, () => wait(review.open(id)), { id: `neighbour-${id}`, title: `Open ${frame}` }),
      element("span", { data: judged }, decision === null ? VERDICT_WORDS[verdict] : CHOICE_WORDS[decision]),
      each.camera !== null &&
        !editor.readonly &&
        quiet("Copy camera", () => review.copyCamera(each), {
          id: `copy-${id}`,
          title: `Start from the camera of ${frame}, moved along the orbit: its points are guesses to be confirmed`,
          attributes: { "aria-label": `Copy the camera of ${frame}` },
        }),
    );
  };
  refill(
    host,
    neighbours.length > 0 && element("h3", {}, "Moments before and after"),
    element("ul", { className: "strip" }, ...neighbours.map(item)),
  );
}
