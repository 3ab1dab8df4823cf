import assert from "node:assert/strict";
import { test } from "node:test";
import type { Camera, Draft, Frame, LonLat } from "../types";
import { aimedCamera, plainLens } from "../geometry/aim";
import { pixelToLonLat } from "../geometry/camera";
import { addPoint, deletePoint, fillUp, follow, movePoint, sameWork, setPoint, switchPoint, whyNotAccepted, withTags } from "./draft";

const camera: Camera = {
  width_px: 101,
  height_px: 51,
  focal_px: 100,
  principal_point: [50, 25],
  distortion: [0, 0, 0, 0, 0],
  quaternion: [0, 0, 0, 1],
  position_ecef_m: [0, 0, 0],
  mirrored: false,
};
const empty: Draft = { camera, points: [], hypothesis: 1, comment: "", tags: [], quality: null, place: null };
// A flat Earth will do: what is tested is which points are asked for.
const flat = (shift: number) => (_: Camera, x: number, y: number): LonLat | null => (y < 10 ? null : [x / 10 + shift, y / 10]);

test("points that nobody holds follow the camera, the held ones stay", () => {
  let draft = addPoint(addPoint(empty, 10, 20, [1, 2], "engine"), 30, 40, [3, 4], "engine");
  draft = movePoint(draft, 0, "map", [1.5, 2.5], "person");
  const followed = follow(draft, camera, flat(7));
  assert.deepEqual([followed.points[0]?.lon, followed.points[0]?.lat], [1.5, 2.5]);
  assert.deepEqual([followed.points[1]?.lon, followed.points[1]?.lat], [10, 4]);
  const held = follow(setPoint(draft, 1, { ...draft.points[1]!, origin: "confirmed" }), camera, flat(9));
  assert.deepEqual([held.points[1]?.lon, held.points[1]?.lat], [3, 4]);
});

test("a point dragged over the antimeridian has a longitude of [-180, 180)", () => {
  const draft = movePoint(addPoint(empty, 0, 0, [179, 0], "engine"), 0, "map", [181, 5], "person");
  assert.equal(draft.points[0]?.lon, -179);
  assert.equal(addPoint(empty, 0, 0, [180, 0], "person").points[0]?.lon, -180);
});

test("filled-up points lie apart, inside, never on sky; there are never more than asked for", () => {
  const filled = fillUp(empty, 4, flat(0));
  assert.equal(filled.points.length, 4);
  for (const point of filled.points) assert.ok(point.y >= 10 && point.y < 51 && point.x > 0 && point.x < 101);
  const apart = filled.points.flatMap((a, i) => filled.points.slice(i + 1).map((b) => Math.hypot(a.x - b.x, a.y - b.y)));
  assert.ok(Math.min(...apart) > 20);
  assert.equal(fillUp(filled, 4, flat(0)), filled);
  assert.equal(fillUp(empty, 4, () => null).points.length, 0);
});

test("deleting takes the one point, and drafts of the same work are the same", () => {
  const draft = addPoint(addPoint(empty, 1, 1, [1, 1], "person"), 2, 2, [2, 2], "person");
  assert.equal(deletePoint(draft, 0).points[0]?.x, 2);
  assert.ok(sameWork(deletePoint(deletePoint(draft, 0), 0), empty));
  assert.ok(!sameWork(draft, empty));
});

test("tags are split at commas, trimmed, and named once", () => {
  assert.deepEqual(withTags(empty, " aurora, moon ,,aurora").tags, ["aurora", "moon"]);
});

test("a point that is switched off stays where it is, and does not count", () => {
  const at: [number, number][] = [[10, 20], [90, 20], [90, 40], [10, 40]];
  const above = aimedCamera({ nadir: [0, 0], altitude_km: 410, place: [0, 0], turn_deg: 0 }, plainLens(101, 51, 100))!;
  const start: Draft = { ...empty, camera: above };
  let draft = at.reduce((made, [x, y]) => addPoint(made, x, y, pixelToLonLat(above, x, y)!, "person"), start);
  const frame = { verdict: "no_match", camera: null, points: [], hypotheses: [] } as unknown as Frame;
  assert.equal(whyNotAccepted(draft, frame), null);
  draft = switchPoint(draft, 1);
  assert.deepEqual(follow(draft, above, flat(7)).points[1], draft.points[1]);
  assert.match(whyNotAccepted(draft, frame)?.why ?? "", /3 of 3 points confirmed/);
  assert.equal(movePoint(draft, 1, "map", [1, 2], "person").points[1]?.off, true);
  assert.equal(whyNotAccepted(switchPoint(draft, 1), frame), null);
  // One that is beyond the horizon, or far from where the camera has it, counts for none
  for (const [place, said] of [[[40, 0], /out of sight/], [[1, 1], /Point 5 lies \d+ px/]] as const) {
    const far = addPoint(switchPoint(draft, 1), 50, 25, [...place], "person");
    assert.match(whyNotAccepted(far, frame)?.why ?? "", said);
    assert.equal(whyNotAccepted(switchPoint(far, 4), frame), null);
  }
});
