// What is known of the frame in view: the engine's verdict and why, when, where from, how it fits.

import { middle, pixelToLonLat } from "../geometry/camera";
import { degrees, ecefToGeodetic, localAxes } from "../geometry/earth";
import { dot, quaternionMatrix, times } from "../geometry/vector";
import type { Camera, Draft, Frame } from "../types";
import { element, refill } from "./dom";
import { evidenceOf, joined, lonLat, MISSING, pixels, probability, utc, VERDICT_WORDS, words } from "./text";

/** The engine's word on the frame, why a person must look, which camera is before them, and for
 *  somebody new what to do about it. */
export function showVerdict(host: HTMLElement, frame: Frame, draft: Draft, hint: string | null): void {
  const needed = frame.verdict === "review";
  refill(
    host,
    element("h2", { title: frame.path }, frame.frame),
    element(
      "p",
      { className: "verdict" },
      element("span", { className: "badge", data: { verdict: frame.verdict } }, VERDICT_WORDS[frame.verdict]),
      needed && " A person must look:",
      !needed && frame.probability !== null && element("strong", {}, ` ${probability(frame.probability)}`),
      !needed && frame.probability !== null && " to be right",
    ),
    (needed || frame.reason_texts.length > 0) &&
      element("ul", { className: "reasons" }, ...whyOf(frame).map((text) => element("li", {}, text))),
    element("p", { className: "meant" }, meant(frame, draft)),
    hint !== null && element("p", { className: "new" }, hint),
  );
}

export function showFacts(host: HTMLElement, frame: Frame, camera: Camera | null, place: string | null): void {
  refill(
    host,
    element("h3", {}, "The photo"),
    facts([
      ["Taken", utc(frame.time_utc)],
      ["Camera", body(frame)],
      ["Kind", frame.category === null ? MISSING : `${words(frame.category)} (${probability(frame.category_probability)})`],
      ["Place", place ?? (frame.centre === null ? MISSING : lonLat(frame.centre))],
      ["Nadir", nadir(frame)],
      ["Off-nadir", offNadir(camera)],
      ["Fit", fit(frame)],
      ["Evidence", evidenceOf(frame.log10_odds, frame.log10_lead, frame.sigma_m) || MISSING],
    ]),
  );
}

/** The engine's reasons with what can be done about them on this page. */
function whyOf(frame: Frame): string[] {
  if (frame.reason_texts.length === 0) return ["the lights do not tell this place from all others for certain"];
  return frame.reason_texts.map((text, i) => {
    const what = TO_DO[frame.reasons[i] ?? ""];
    return what === undefined ? text : `${text.replace(/\.$/, "")}. ${what}`;
  });
}

const TO_DO: Record<string, string> = {
  low_margin: "Compare with the runner-up (2).",
  guessed_lens: "Write the focal length below, if you know it.",
  no_ephemeris: "Write the time or the nadir below, if you know it.",
  search_budget: "Search from here (G) goes on.",
  no_agreement: "Move the photo roughly to its place (M) and search from there (G).",
};

/** Which camera the views show. */
export function meant(frame: Frame, draft: Draft): string {
  if (draft.camera === null) return "The engine proposes no place.";
  const shown = frame.hypotheses.find((each) => each.rank === draft.hypothesis);
  const [best] = frame.hypotheses;
  if (shown !== undefined) {
    const where = shown.place ?? (shown.centre === null ? "" : lonLat(shown.centre));
    const place = where === "" ? "" : `: ${where}`;
    if (shown === best) return `Shown is the engine's proposal${frame.hypotheses.length > 1 ? " (1)" : ""}${place}.`;
    const which = `${frame.hypotheses.indexOf(shown) + 1}${where === "" ? "" : ` (${where})`}`;
    return `Shown is hypothesis ${which}, not the engine's proposal.`;
  }
  if (draft.points.some((each) => each.origin === "search")) return "Shown is what a search found.";
  return frame.camera !== null && draft.camera === frame.camera ? "Shown is the engine's proposal." : "Shown is a camera placed by hand.";
}

/** One line for the first decision; null for who has made one. */
export function hintFor(frame: Frame, decided: number): string | null {
  if (decided > 0) return null;
  return frame.camera === null
    ? "No proposal. Click a light in the photo, then the same on the map; R rejects the frame, ? shows all keys."
    : "Do the lights of photo and map lie on each other? Hold F to compare; A accepts, R rejects, ? shows all keys.";
}

const SOURCE_WORDS: Record<string, string> = {
  tle: "from the TLE",
  record: "from the frame's record",
  given: "as given",
};

function facts(rows: [string, string][]): HTMLElement {
  const shown = rows.filter(([, value]) => value !== MISSING);
  return element(
    "dl",
    {},
    ...shown.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
}

function body(frame: Frame): string {
  return joined(frame.camera_body, frame.focal_mm !== null && `${frame.focal_mm.toFixed(0)} mm`) || MISSING;
}

function nadir(frame: Frame): string {
  if (frame.nadir === null) return MISSING;
  const { lon, lat, altitude_km, source, sigma_along_km } = frame.nadir;
  return `${lonLat([lon, lat])}; ${altitude_km.toFixed(0)} km up; ${SOURCE_WORDS[source] ?? words(source)}, ± ${sigma_along_km.toFixed(0)} km along the track`;
}

function fit(frame: Frame): string {
  if (frame.fit === null) return MISSING;
  const { residual_px, matched_lights, ncc } = frame.fit;
  return (
    joined(
      residual_px !== null && `${pixels(residual_px)} residual`,
      matched_lights !== null && `${matched_lights} lights`,
      ncc !== null && `correlation ${ncc.toFixed(2)}`,
    ) || MISSING
  );
}

/** Angle at the camera between the geodetic vertical and the boresight, and what lies there. */
function offNadir(camera: Camera | null): string {
  if (camera === null) return MISSING;
  const place = pixelToLonLat(camera, ...middle(camera));
  if (place === null) return "the middle of the photo shows the sky";
  return `${offNadirDeg(camera).toFixed(1)}°, looking at ${lonLat(place)}`;
}

function offNadirDeg(camera: Camera): number {
  const ahead = times(quaternionMatrix(camera.quaternion), [0, 0, 1]);
  const { lon, lat } = ecefToGeodetic(camera.position_ecef_m);
  return degrees(Math.acos(Math.min(1, Math.max(-1, -dot(ahead, localAxes(lon, lat).up)))));
}
