// How far the review is, and how well reviewers agree.

import type { Agreement, Stats, Tally } from "../types";
import { element } from "./dom";
import { count, fixed, MISSING, pixels, utc, words } from "./text";

export function statsTable(stats: Stats): HTMLElement {
  const { work, agreement } = stats;
  return element(
    "div",
    { className: "stats" },
    element("p", {}, `${count(stats.decided, "frame")} of ${stats.frames.toLocaleString("en")} decided; ${stats.disputed} disputed.`),
    stats.stale > 0 &&
      element("p", { className: "disputed" }, `${count(stats.stale, "decision")} on proposals that the engine has changed since.`),
    element(
      "p",
      {},
      `Accepted as proposed: ${work.as_proposed}; put right: ${work.put_right}; made from nothing: ${work.from_nothing}.`,
    ),
    table(
      "By the engine's verdict",
      ["Verdict", "Frames", "Accepted", "Rejected", "Unsure"],
      Object.entries(stats.by_verdict).map(([verdict, found]) => [words(verdict), String(found.frames), ...tally(found)]),
    ),
    table(
      "Reviewers",
      ["Name", "Frames", "Decisions", "Median time", "Last"],
      stats.reviewers.map((each) => [
        each.reviewer,
        String(each.frames),
        String(each.decisions),
        each.median_seconds === null ? MISSING : `${fixed(each.median_seconds, 1)} s`,
        utc(each.last_utc),
      ]),
    ),
    agreement.pairs.length === 0
      ? element("p", {}, "No two people have decided the same frame yet.")
      : table(
          "Agreement of two reviewers on the same frames",
          ["Reviewers", "Frames", "Same decision", "Cohen's kappa", "Cameras apart"],
          [
            ...agreement.pairs.map((pair) => [pair.reviewers.join(" and "), ...agreed(pair)]),
            ["all", ...agreed(agreement)],
          ],
        ),
  );
}

function tally({ accepted, rejected, unsure }: Tally): string[] {
  return [accepted, rejected, unsure].map(String);
}

function agreed({ compared, same, kappa, apart_px }: Agreement): string[] {
  return [String(compared), String(same), kappa === null ? MISSING : fixed(kappa, 2), pixels(apart_px)];
}

function table(caption: string, head: string[], rows: string[][]): HTMLElement {
  return element(
    "table",
    {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
    element(
      "tbody",
      {},
      ...rows.map((row) => element("tr", {}, ...row.map((text) => element("td", {}, text)))),
    ),
  );
}
