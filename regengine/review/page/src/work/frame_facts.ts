// What is known of the frame in view: the engine's verdict and why, when, where from, how it fits.

import { aimOf } from "../geometry/aim";
import type { Camera, Frame } from "../types";
import { element, refill } from "./dom";
import { fixed, lonLat, MISSING, pixels, probability, utc, VERDICT_WORDS, words } from "./text";

/** The engine's word on the frame, and for somebody new what to do about it. */
export function showVerdict(host: HTMLElement, frame: Frame, hint: string | null): void {
  refill(
    host,
    element("h2", { title: frame.path }, frame.frame),
    element(
      "p",
      { className: "verdict" },
      element("span", { className: "badge", data: { verdict: frame.verdict } }, VERDICT_WORDS[frame.verdict]),
      frame.probability !== null && element("strong", {}, ` ${probability(frame.probability)}`),
      frame.probability !== null && " to be right",
    ),
    frame.reason_texts.length > 0 &&
      element("ul", { className: "reasons" }, ...frame.reason_texts.map((text) => element("li", {}, text))),
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
    ]),
  );
}

/** One line for the first decision; null for who has made one. */
export function hintFor(frame: Frame, decided: number): string | null {
  if (decided > 0) return null;
  return frame.camera === null
    ? "No proposal. M moves the photo over the map by hand, R rejects the frame, ? shows all keys."
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
  const focal = frame.focal_mm === null ? "" : `${fixed(frame.focal_mm, 0)} mm`;
  return [frame.camera_body, focal].filter((part) => part !== null && part !== "").join(", ") || MISSING;
}

function nadir(frame: Frame): string {
  if (frame.nadir === null) return MISSING;
  const { lon, lat, altitude_km, source, sigma_along_km } = frame.nadir;
  return `${lonLat([lon, lat])}; ${fixed(altitude_km, 0)} km up; ${SOURCE_WORDS[source] ?? words(source)}, ± ${fixed(sigma_along_km, 0)} km along the track`;
}

function fit(frame: Frame): string {
  if (frame.fit === null) return MISSING;
  const { residual_px, matched_lights, ncc } = frame.fit;
  const parts = [
    residual_px === null ? "" : `${pixels(residual_px)} residual`,
    matched_lights === null ? "" : `${matched_lights} lights`,
    ncc === null ? "" : `correlation ${fixed(ncc, 2)}`,
  ];
  return parts.filter((part) => part !== "").join(", ") || MISSING;
}

/** Angle at the camera between straight down and the boresight. */
function offNadir(camera: Camera | null): string {
  if (camera === null) return MISSING;
  const aim = aimOf(camera);
  if (aim === null) return "the middle of the photo shows the sky";
  return `${fixed(offNadirDeg(camera), 0)}°, looking at ${lonLat(aim.place)}`;
}

function offNadirDeg(camera: Camera): number {
  const [x, y, z, w] = camera.quaternion;
  // Third column of the rotation: the boresight in ECEF
  const ahead = [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)];
  const down = camera.position_ecef_m.map((each) => -each);
  const dot = ahead.reduce((sum, each, i) => sum + each * (down[i] ?? 0), 0);
  return (180 / Math.PI) * Math.acos(Math.min(1, Math.max(-1, dot / (Math.hypot(...ahead) * Math.hypot(...down)))));
}
