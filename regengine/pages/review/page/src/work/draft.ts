// What a person makes of a frame, as plain values: every function gives a new draft.

import { distance } from "ol/coordinate";
import { aimedCamera, plainLens } from "../geometry/aim";
import { insidePhoto, lonLatToPixel, pixelToGround, pixelToLonLat } from "../geometry/camera";
import { greatCircleKm, wrapped } from "../geometry/earth";
import type { Camera, Draft, Frame, Given, Hypothesis, LonLat, Point, PointResidual, Side } from "../types";

const MIN_POINTS = 4;
export const EMPTY: Draft = { camera: null, points: [], hypothesis: null, comment: "", tags: [], quality: null, place: null };

/** Where work goes on: unfinished work, else what this reviewer decided, else the proposal. */
export function begun(frame: Frame, reviewer: string): Draft {
  const own = frame.decisions.find((each) => each.reviewer === reviewer);
  const best = frame.camera === null ? null : (frame.hypotheses[0]?.rank ?? null);
  const proposed = { ...EMPTY, camera: frame.camera, points: frame.points, hypothesis: best };
  return frame.draft ?? (own ? workOf(own) : proposed);
}

/** What a decision says of the frame, as work that can go on. */
export function workOf({ camera, points, hypothesis, comment, tags, quality, place, given }: Draft): Draft {
  return { camera, points, hypothesis, comment, tags, quality, place, ...(given ? { given } : {}) };
}

/** Whether a person stands behind a point: the others follow the camera, but for those switched off. */
export function isHeld(point: Point): boolean {
  if (point.off) return false;
  return point.origin === "person" || point.origin === "snap" || point.origin === "confirmed";
}

/** The pair that the engine measured at a point's pixel; null where there is none. */
export function measuredAt(frame: Frame, { x, y }: Point): Point | null {
  return frame.points.find((each) => each.x === x && each.y === y) ?? null;
}

/** No hand, and no pixel of a screen, puts a point as near to where its camera has it. */
export const FOLLOWS_PX = 0.05;

/** Whether a person stands behind a point, and it tells something that the camera did not say itself. */
export function isIndependent(point: Point, camera: Camera | null): boolean {
  if (!isHeld(point)) return false;
  if (point.origin !== "person" || point.by_hand || camera === null) return true;
  const residual = pointResidual(camera, point);
  return residual === null || residual.residual_px >= FOLLOWS_PX;
}

/** The engine's camera that a draft shows as it is: its number among the hypotheses, 0 without any. */
export function proposalShown({ camera }: Draft, frame: Frame): number | null {
  if (camera === null) return null;
  const index = frame.hypotheses.findIndex((each) => sameCamera(camera, each.camera));
  return index < 0 && !sameCamera(camera, frame.camera) ? null : Math.max(0, index);
}

export function sameCamera(one: Camera, other: Camera | null): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

export function isSearched({ camera, points }: Draft): boolean {
  return camera !== null && points.length > 0 && points.every((each) => each.origin === "search");
}

/** A hand put the other half of a point there, in the photo or on the map. */
export function movePoint(draft: Draft, index: number, side: Side, at: [number, number]): Draft {
  const moved = side === "photo" ? { x: at[0], y: at[1] } : { lon: wrapped(at[0]), lat: at[1] };
  const { x, y, lon, lat, off } = draft.points[index]!;
  return setPoint(draft, index, { x, y, lon, lat, ...moved, ...BY_HAND, ...(off ? { off } : {}) });
}

const BY_HAND = { sigma_px: null, origin: "person", by_hand: true } as const;
const BY_CAMERA = { sigma_px: null, origin: "engine" } as const;

export function switchPoint(draft: Draft, index: number): Draft {
  const { off, ...point } = draft.points[index]!;
  return setPoint(draft, index, off ? point : { ...point, off: true });
}

export function setPoint(draft: Draft, index: number, point: Point): Draft {
  return { ...draft, points: draft.points.map((each, i) => (i === index ? point : each)) };
}

/** Another point: a hand put both halves there, or the camera guessed one. */
export function addPoint(draft: Draft, [x, y]: [number, number], [lon, lat]: LonLat, by: "person" | "engine"): Draft {
  const point: Point = { x, y, lon: wrapped(lon), lat, ...(by === "person" ? BY_HAND : BY_CAMERA) };
  return { ...draft, points: [...draft.points, point] };
}

/** Another camera: points that nobody holds go to where it sees their pixels, as its guesses; under the
 *  engine's own they are its pairs. */
export function follow(draft: Draft, camera: Camera, frame: Frame | null): Draft {
  const engine = frame !== null && sameCamera(camera, frame.camera) ? frame : null;
  const points = draft.points.map((point): Point => {
    if (isHeld(point) || point.off) return point;
    const [lon, lat] = pixelToLonLat(camera, point.x, point.y) ?? [point.lon, point.lat];
    return (engine && measuredAt(engine, point)) ?? { ...point, lon, lat, origin: "engine" };
  });
  return { ...draft, camera, points };
}

/** Start over from one of the engine's hypotheses: its camera, points spread over what it sees. */
export function choose(draft: Draft, frame: Frame, { camera, rank }: Hypothesis): Draft {
  const base = { ...draft, camera, hypothesis: rank };
  return rank === frame.hypotheses[0]?.rank ? { ...base, points: frame.points } : fillUp({ ...base, points: [] });
}

/** Points at pixels far from each other until there are four, placed by the camera. */
export function fillUp(draft: Draft): Draft {
  const { camera } = draft;
  if (camera === null) return draft;
  const candidates = spreadPixels(camera).flatMap((pixel) => {
    const ground = pixelToGround(camera, ...pixel);
    return ground !== null && ground.incidence_deg <= MAX_INCIDENCE_DEG ? [{ pixel, place: ground.place }] : [];
  });
  let filled = draft;
  while (filled.points.length < MIN_POINTS && candidates.length > 0) {
    const taken = filled.points.length > 0 ? filled.points.map(({ x, y }) => [x, y]) : [[camera.width_px / 2, camera.height_px / 2]];
    const room = (pixel: number[]): number => Math.min(...taken.map((each) => distance(each, pixel)));
    const best = candidates.reduce((a, b) => (room(b.pixel) > room(a.pixel) ? b : a));
    if (room(best.pixel) === 0) break;
    filled = addPoint(filled, best.pixel, best.place, "engine");
  }
  return filled;
}

/** Where the camera has a click in the other view; null on sky and outside the photo. */
export function twinOf(camera: Camera, side: Side, at: [number, number]): [number, number] | null {
  if (side === "photo") return pixelToLonLat(camera, ...at);
  const pixel = lonLatToPixel(camera, ...at);
  return pixel && insidePhoto(camera, pixel) ? pixel : null;
}

/** Pixels spread over the photo, where a filled-up point may lie: well inside, where the lens is known best. */
export function spreadPixels(camera: Camera): [number, number][] {
  const at = [0.15, 0.325, 0.5, 0.675, 0.85];
  return at.flatMap((v) =>
    at.map((u): [number, number] => [Math.round(u * (camera.width_px - 1)), Math.round(v * (camera.height_px - 1))]),
  );
}

/** As many tags, as long, as the server takes. */
const MAX_TAGS = 32;
const LONGEST_TAG = 64;

export function tagsIn(text: string): string[] {
  const tags = text.split(",").map((each) => each.trim().slice(0, LONGEST_TAG)).filter((each) => each !== "");
  return [...new Set(tags)].slice(0, MAX_TAGS);
}

/** Beyond this angle to the vertical a pixel says next to nothing about a place. */
const MAX_INCIDENCE_DEG = 80;

export function pointResidual(camera: Camera, point: Point): PointResidual | null {
  const pixel = lonLatToPixel(camera, point.lon, point.lat);
  if (pixel === null) return null;
  const [dx_px, dy_px] = [point.x - pixel[0], point.y - pixel[1]];
  const seen = pixelToLonLat(camera, point.x, point.y);
  return {
    dx_px,
    dy_px,
    residual_px: Math.hypot(dx_px, dy_px),
    residual_m: seen === null ? null : 1000 * greatCircleKm(seen, [point.lon, point.lat]),
    suspect: false,
  };
}

/** How far two points lie from each other, in pixels of the photo, on whichever side they differ. */
export function apartPx(camera: Camera, one: Point, other: Point): number {
  const [a, b] = [one, other].map((each) => lonLatToPixel(camera, each.lon, each.lat));
  if (!a || !b) return Infinity;
  return Math.hypot(one.x - other.x, one.y - other.y) + Math.hypot(a[0] - b[0], a[1] - b[1]);
}

/** Where the altitude is unknown: the station's, to a few per cent. */
export const USUAL_ALTITUDE_KM = 410;
/** Where the lens is unknown: 50 mm on a frame of 36 mm, the middle of what is used. */
const USUAL_FOCAL_PER_LONG_SIDE = 50 / 36;

/** Null where the photo's size is not known. `nadir` where neither the engine nor a person told it. */
export function startCamera(frame: Frame, nadir: LonLat | null, given: Given | null = null): Camera | null {
  const told = given?.nadir ?? frame.nadir;
  const at: LonLat | null = told ? [told.lon, told.lat] : nadir;
  if (at === null || frame.width_px === null || frame.height_px === null) return null;
  const known = given?.focal_px
    ? given.focal_px
    : frame.focal_mm !== null && frame.pixel_pitch_um !== null
      ? (1000 * frame.focal_mm) / frame.pixel_pitch_um
      : USUAL_FOCAL_PER_LONG_SIDE * Math.max(frame.width_px, frame.height_px);
  const altitude_km = told?.altitude_km ?? USUAL_ALTITUDE_KM;
  return aimedCamera(
    { nadir: at, altitude_km, place: at, turn_deg: 0 },
    plainLens(frame.width_px, frame.height_px, known),
  );
}
