// What a person makes of a frame, as plain values: every function gives a new draft.

import { aimedCamera, plainLens } from "../geometry/aim";
import { lonLatToPixel, pixelToGround, pixelToLonLat } from "../geometry/camera";
import { greatCircleKm, wrapped } from "../geometry/earth";
import type { Camera, Draft, Frame, Given, Hypothesis, LonLat, Origin, Point, PointResidual, Side } from "../types";

/** Where a camera sees the ground at a pixel; null on sky. */
export type Ground = (camera: Camera, x: number, y: number) => LonLat | null;

/** What the engine proposed. */
export function proposed(frame: Frame): Draft {
  const best = frame.camera === null ? null : (frame.hypotheses[0]?.rank ?? null);
  return { ...nothingSaid, camera: frame.camera, points: frame.points, hypothesis: best };
}

const FEWEST_POINTS = 4;
const nothingSaid = { comment: "", tags: [], quality: null, place: null };

/** Where work goes on: unfinished work, else what this reviewer decided, else the proposal. */
export function begun(frame: Frame, reviewer: string): Draft {
  const own = frame.decisions.find((each) => each.reviewer === reviewer);
  return frame.draft ?? (own ? workOf(own) : proposed(frame));
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

export function movePoint(draft: Draft, index: number, side: Side, at: [number, number], origin: Origin): Draft {
  const moved = side === "photo" ? { x: at[0], y: at[1] } : { lon: wrapped(at[0]), lat: at[1] };
  const { x, y, lon, lat, off } = draft.points[index]!;
  return setPoint(draft, index, { x, y, lon, lat, ...moved, sigma_px: null, origin, ...HAND[origin], ...(off ? { off } : {}) });
}

const HAND: Partial<Record<Origin, { by_hand: true }>> = { person: { by_hand: true } };

/** A point switched off, or on again. */
export function switchPoint(draft: Draft, index: number): Draft {
  const { off, ...point } = draft.points[index]!;
  return setPoint(draft, index, off ? point : { ...point, off: true });
}

/** Another point in place of one. */
export function setPoint(draft: Draft, index: number, point: Point): Draft {
  return { ...draft, points: draft.points.map((each, i) => (i === index ? point : each)) };
}

export function addPoint(draft: Draft, x: number, y: number, place: LonLat, origin: Origin): Draft {
  const point: Point = { x, y, lon: wrapped(place[0]), lat: place[1], sigma_px: null, origin, ...HAND[origin] };
  return { ...draft, points: [...draft.points, point] };
}

export function deletePoint(draft: Draft, index: number): Draft {
  return { ...draft, points: draft.points.filter((_, i) => i !== index) };
}

/** Another camera: points that nobody holds go to where it sees their pixels, as its guesses. */
export function follow(draft: Draft, camera: Camera, ground: Ground): Draft {
  const points = draft.points.map((point): Point => {
    if (isHeld(point) || point.off) return point;
    const [lon, lat] = ground(camera, point.x, point.y) ?? [point.lon, point.lat];
    return { ...point, lon, lat, origin: "engine" };
  });
  return { ...draft, camera, points };
}

/** Start over from one of the engine's hypotheses: its camera, points spread over what it sees. */
export function choose(draft: Draft, frame: Frame, hypothesis: Hypothesis, ground: Ground): Draft {
  const base = { ...draft, camera: hypothesis.camera, hypothesis: hypothesis.rank };
  if (hypothesis.rank === frame.hypotheses[0]?.rank) return { ...base, points: frame.points };
  return fillUp({ ...base, points: [] }, FEWEST_POINTS, ground);
}

/** Points at pixels far from each other until there are `count`, placed by the camera. */
export function fillUp(draft: Draft, count: number, ground: Ground): Draft {
  const camera = draft.camera;
  if (camera === null) return draft;
  const candidates = spreadPixels(camera).flatMap((pixel) => {
    const place = ground(camera, ...pixel);
    return place === null ? [] : [{ pixel, place }];
  });
  let filled = draft;
  while (filled.points.length < count && candidates.length > 0) {
    const taken = filled.points;
    const middle: [number, number] = [camera.width_px / 2, camera.height_px / 2];
    const room = (pixel: [number, number]): number =>
      taken.length === 0
        ? Math.hypot(pixel[0] - middle[0], pixel[1] - middle[1])
        : Math.min(...taken.map((each) => Math.hypot(each.x - pixel[0], each.y - pixel[1])));
    const best = candidates.reduce((a, b) => (room(b.pixel) > room(a.pixel) ? b : a));
    if (room(best.pixel) === 0) break;
    filled = addPoint(filled, best.pixel[0], best.pixel[1], best.place, "engine");
  }
  return filled;
}

/** Pixels spread over the photo, where a filled-up point may lie: well inside, where the lens is known best. */
export function spreadPixels(camera: Camera): [number, number][] {
  const at = [0.15, 0.325, 0.5, 0.675, 0.85];
  return at.flatMap((v) =>
    at.map((u): [number, number] => [Math.round(u * (camera.width_px - 1)), Math.round(v * (camera.height_px - 1))]),
  );
}

export function sameWork(a: Draft, b: Draft): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** As many tags, as long, as the server takes. */
const MOST_TAGS = 32;
const LONGEST_TAG = 64;

export function withTags(draft: Draft, text: string): Draft {
  const tags = text.split(",").map((each) => each.trim().slice(0, LONGEST_TAG)).filter((each) => each !== "");
  return { ...draft, tags: [...new Set(tags)].slice(0, MOST_TAGS) };
}

/** Beyond this angle to the vertical a pixel says next to nothing about a place. */
const MOST_INCIDENCE_DEG = 80;

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

/** Ground in clear sight at a pixel; null on sky and close to the horizon. */
export function clearGround(camera: Camera, x: number, y: number): LonLat | null {
  const ground = pixelToGround(camera, x, y);
  return ground !== null && ground.incidence_deg <= MOST_INCIDENCE_DEG ? ground.place : null;
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
