// What a person makes of a frame, as plain values: every function gives a new draft.

import type { Camera, Draft, Frame, Hypothesis, LonLat, Origin, Point } from "../types";
import type { Side } from "../view_types";
import { wrapped } from "../geometry/earth";

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

/** Whether a person stands behind a point: the others follow the camera. */
export function isHeld(point: Point): boolean {
  return point.origin === "person" || point.origin === "snap";
}

/** The engine's camera that a draft shows as it is: its number among the hypotheses, 0 without any. */
export function proposalShown({ camera }: Draft, frame: Frame): number | null {
  const is = (other: Camera | null): boolean => JSON.stringify(other) === JSON.stringify(camera);
  const index = frame.hypotheses.findIndex((each) => is(each.camera));
  return camera === null || (index < 0 && !is(frame.camera)) ? null : Math.max(0, index);
}

export function isSearched({ camera, points }: Draft): boolean {
  return camera !== null && points.length > 0 && points.every((each) => each.origin === "search");
}

/** Why a frame cannot be accepted, as the server says it (`DecisionBody` in bodies.py); null where it can. */
export function whyNotAccepted(draft: Draft, frame: Frame): string | null {
  const { camera, points } = draft;
  const apart = (some: Point[]): number => new Set(some.map(({ x, y }) => `${x} ${y}`)).size;
  const confirmed = apart(points.filter(isHeld));
  const proposed = frame.verdict === "accepted" || frame.verdict === "review" ? proposalShown(draft, frame) : null;
  const found = isSearched(draft) || proposed !== null;
  if (camera !== null && (confirmed >= FEWEST_POINTS || (found && apart(points) >= FEWEST_POINTS))) return null;
  return (
    "Accepting needs a camera and four confirmed points, or a proposal of the engine as it is: " +
    `confirmed are ${confirmed} of ${points.length} points.`
  );
}

export function movePoint(draft: Draft, index: number, side: Side, at: [number, number], origin: Origin): Draft {
  const moved = side === "photo" ? { x: at[0], y: at[1] } : { lon: wrapped(at[0]), lat: at[1] };
  return changePoint(draft, index, { ...moved, origin, sigma_px: null });
}

/** A person says that a point is right where it is. */
export function holdPoint(draft: Draft, index: number): Draft {
  return changePoint(draft, index, { origin: "person" });
}

function changePoint(draft: Draft, index: number, change: Partial<Point>): Draft {
  return { ...draft, points: draft.points.map((each, i) => (i === index ? { ...each, ...change } : each)) };
}

export function addPoint(draft: Draft, x: number, y: number, place: LonLat, origin: Origin): Draft {
  const point: Point = { x, y, lon: wrapped(place[0]), lat: place[1], sigma_px: null, origin };
  return { ...draft, points: [...draft.points, point] };
}

export function deletePoint(draft: Draft, index: number): Draft {
  return { ...draft, points: draft.points.filter((_, i) => i !== index) };
}

/** Another camera: points that nobody holds go to where it sees their pixels, as its guesses. */
export function follow(draft: Draft, camera: Camera, ground: Ground): Draft {
  const points = draft.points.map((point): Point => {
    if (isHeld(point)) return point;
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
  const candidates = grid(camera).flatMap((pixel) => {
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

/** Pixels where a filled-up point may lie: well inside, where the lens is known best. */
function grid(camera: Camera): [number, number][] {
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
