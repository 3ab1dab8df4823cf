// What is known of the frame in view: the engine's verdict and why, when, where from, how it fits.

import { toDegrees } from "ol/math";
import { middle, pixelToLonLat } from "../geometry/camera";
import { ecefToGeodetic } from "../geometry/earth";
import { azimuthOf } from "../geometry/horizon";
import type { Camera, Draft, Frame, MapKind, Nadir, Said } from "../types";
import { element, refill } from "./dom";
import { isSearched, proposalShown } from "./draft";
import { decisionLine } from "./frame_boxes";
import type { Review } from "./review";
import { CATEGORY_WORDS, joined, lonLat, metres, pixels, probability, utc, VERDICT_WORDS, words } from "./text";

/** The engine's word on what is shown, why it needs a check, which camera is shown, and for somebody new
 *  what to do about it. */
export function showVerdict(host: HTMLElement, frame: Frame, review: Review, hint: string | null): void {
  const { draft } = review.editor;
  // The engine's word on its own proposal stays while a person edits, and is told from theirs
  const searched = isSearched(draft) ? review.found.get(frame.id) : undefined;
  const own = searched === undefined && draft.camera !== null && proposalShown(draft, frame) !== 0;
  const said = searched ?? frame;
  const placed = said.verdict === "accepted" || said.verdict === "review";
  // Who has decided comes first; a glance leaves the engine's word
  const decided = frame.decisions.find((each) => each.decision !== "glanced");
  const needed = said.verdict === "review" && decided === undefined;
  refill(
    host,
    element("h2", { title: frame.path }, frame.frame),
    decided && element("p", { className: "verdict" }, element("strong", {}, decisionLine(decided))),
    element(
      "p",
      { className: "verdict", data: { own: String(own) } },
      searched === undefined ? (own && placed ? "The engine's own proposal: " : "Engine: ") : "Search: ",
      element("span", { className: "badge", data: { verdict: said.verdict } }, VERDICT_WORDS[said.verdict]),
      placed && said.probability !== null && element("strong", {}, ` ${probability(said.probability)}`),
      placed && said.probability !== null && " likely to be right",
      needed && "; needs a human check:",
    ),
    (needed || said.reason_texts.length > 0) &&
      element("ul", { className: "reasons" }, ...whyOf(said, draft.camera !== null, review.canSearch).map((text) => element("li", {}, text))),
    element("p", { className: "meant" }, meant(frame, draft)),
    hint !== null && element("p", { className: "new" }, hint),
  );
}

export function showFacts(host: HTMLElement, frame: Frame, camera: Camera | null, place: string | null): void {
  const rows: [string, string | false | null][] = [
    ["Taken", frame.time_utc && utc(frame.time_utc)],
    ["Camera", joined(frame.camera_body, frame.focal_mm !== null && `${frame.focal_mm.toFixed(0)} mm`)],
    ["Kind", frame.category && `${CATEGORY_WORDS[frame.category] ?? words(frame.category)} (${probability(frame.category_probability)})`],
    ["Place", place ?? (frame.centre && lonLat(frame.centre))],
    ["Nadir", camera && nadir(camera)],
    ["Prior nadir", frame.nadir && priorNadir(frame.nadir)],
    ["Off-nadir", camera && offNadir(camera)],
    ["Fit", frame.fit && joined(
      frame.fit.residual_px !== null && `${pixels(frame.fit.residual_px)} residual`,
      matched(frame),
      frame.fit.ncc !== null && `correlation ${frame.fit.ncc.toFixed(2)}`,
    )],
    ["Precision", frame.sigma_m !== null && `± ${metres(frame.sigma_m)} at the least precise point`],
  ];
  const known = rows.flatMap(([name, value]) => (value ? [element("dt", {}, name), element("dd", {}, value)] : []));
  refill(host, element("h3", {}, "The photo"), element("dl", {}, ...known));
}

/** The engine's reasons with what can be done about them on this page. */
function whyOf(said: Said, hasCamera: boolean, canSearch: boolean): string[] {
  if (said.reason_texts.length === 0) return ["other places cannot be ruled out"];
  return said.reason_texts.map((text, i) => {
    const code = said.reasons[i] ?? "";
    const search = hasCamera ? SEARCH_ON : SEARCH_AFTER_PLACING;
    const what = code === "search_budget" || code === "no_agreement" ? (canSearch ? search : undefined) : TO_DO[code];
    // What the command line could do about it helps nobody here
    const why = text.replace(/; --[^;]*$/, "").replace(/\.$/, "");
    return what === undefined ? text : `${why}. ${what}`;
  });
}

const TO_DO: Record<string, string> = {
  low_margin: "Compare with the runner-up (2).",
  guessed_lens: "Write the focal length below, if you know it.",
  no_ephemeris: "Write the time or the nadir below, if you know it.",
};

const SEARCH_ON = "Move the photo roughly to its place (M) and search from there (G).";
const SEARCH_AFTER_PLACING = "Place the photo roughly (M), or click two pairs of points (P); then search from there (G).";

export function meant(frame: Frame, draft: Draft): string {
  if (draft.camera === null) return "No place found by the engine.";
  if (isSearched(draft)) return "Shown: the camera that a search found.";
  const index = proposalShown(draft, frame);
  if (index === null) return "Shown: your own camera, placed by hand or solved from your points.";
  const shown = frame.hypotheses[index];
  const where = shown?.place ?? (shown?.centre ? lonLat(shown.centre) : "");
  if (index > 0) return `Shown: hypothesis ${index + 1}${where && ` (${where})`}, not the engine's proposal.`;
  return `Shown: the engine's proposal${frame.hypotheses.length > 1 ? " (1)" : ""}${where && `: ${where}`}.`;
}

/** One line for the first decision; null for who has made one. */
export function hintFor(draft: Draft, reference: MapKind, refusal: string | null, decided: number): string | null {
  if (decided > 0) return null;
  if (draft.camera === null) {
    return "No proposal. Click a place in the photo, then the same place on the map; R rejects the frame, ? shows all keys.";
  }
  const accepts = refusal === null ? "A accepts" : "A accepts after four points are confirmed";
  return `${QUESTIONS[reference]} Hold F to compare; ${accepts}, R rejects, ? shows all keys.`;
}

const QUESTIONS: Record<MapKind, string> = {
  lights: "Do the photo's lights match the map's?",
  streets: "Do the photo's lit streets match the street map?",
  day: "Does the ground in the photo match the day map?",
};

const SOURCE_WORDS: Record<string, string> = {
  tle: "from the TLE",
  record: "from the frame's record",
  option: "as given",
};

function nadir(camera: Camera): string {
  const { lon, lat, heightM } = ecefToGeodetic(camera.position_ecef_m);
  return `${lonLat([lon, lat])}; ${(heightM / 1000).toFixed(0)} km up`;
}

/** By element set, record or option, before the lights were looked at. */
function priorNadir({ lon, lat, altitude_km, source, sigma_along_km }: Nadir): string {
  return `${lonLat([lon, lat])}; ${altitude_km.toFixed(0)} km up; ${SOURCE_WORDS[source] ?? words(source)}, ± ${sigma_along_km.toFixed(0)} km along the track`;
}

function matched(frame: Frame): string | false {
  if (frame.reference === "lights") {
    const lights = frame.fit?.matched_lights ?? null;
    return lights !== null && `${lights} matched lights`;
  }
  const on = frame.reference === "streets" ? "street map" : "day map";
  const finest = frame.proofs.at(-1);
  return finest === undefined ? `placed on the ${on}` : `${finest.n_agreeing} of ${finest.n_patches} patches match the ${on}`;
}

/** Angle at the camera between the geodetic vertical and the boresight, and what lies there. */
function offNadir(camera: Camera): string {
  const place = pixelToLonLat(camera, ...middle(camera));
  if (place === null) return "looking at the sky";
  return `${toDegrees(azimuthOf(camera).offNadirRad).toFixed(1)}°, looking at ${lonLat(place)}`;
}
