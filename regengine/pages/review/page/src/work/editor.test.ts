import assert from "node:assert/strict";
import { test } from "node:test";
import { aimedCamera, plainLens, turned } from "../geometry/aim";
import { lonLatToPixel, pixelToLonLat } from "../geometry/camera";
import type { Camera, Draft, Frame, LonLat, Point, SolveAnswer } from "../types";
import { addPoint, EMPTY, fillUp, follow, isIndependent, movePoint, setPoint, switchPoint, tagsIn } from "./draft";
import { Editor } from "./editor";

const lens = plainLens(4256, 2832, 6000);
const truth = aimedCamera({ nadir: [136, 35], altitude_km: 410, place: [137, 36], turn_deg: 20 }, lens)!;
/** As an engine may get it wrong: turned and beside the place. */
const wrong = turned(aimedCamera({ nadir: [136, 35], altitude_km: 410, place: [137.4, 36.2], turn_deg: 20 }, lens)!, [100, 100], 4);
const empty: Draft = { ...EMPTY, camera: truth };

test("points that nobody holds follow the camera, the held ones stay", () => {
  let draft = addPoint(addPoint(empty, [10, 20], [1, 2], "engine"), [30, 40], [3, 4], "engine");
  draft = movePoint(draft, 0, "map", [1.5, 2.5]);
  const placesOf = ({ points }: Draft) => points.map(({ lon, lat }) => [lon, lat]);
  assert.deepEqual(placesOf(follow(draft, wrong, null)), [[1.5, 2.5], pixelToLonLat(wrong, 30, 40)]);
  assert.deepEqual(placesOf(follow(switchPoint(draft, 1), wrong, null)), placesOf(draft));
  const held = setPoint(draft, 1, { ...draft.points[1]!, origin: "confirmed" });
  assert.deepEqual(placesOf(follow(held, wrong, null)), placesOf(draft));
});

test("a point dragged over the antimeridian has a longitude of [-180, 180)", () => {
  const draft = movePoint(addPoint(empty, [0, 0], [179, 0], "engine"), 0, "map", [181, 5]);
  assert.equal(draft.points[0]?.lon, -179);
  assert.equal(addPoint(empty, [0, 0], [180, 0], "person").points[0]?.lon, -180);
});

test("filled-up points lie apart, inside, never on sky; there are never more than asked for", () => {
  const limb = aimedCamera({ nadir: [0, 0], altitude_km: 410, place: [0, 18], turn_deg: 0 }, plainLens(4256, 2832, 3000))!;
  const filled = fillUp({ ...EMPTY, camera: limb });
  assert.equal(pixelToLonLat(limb, 2000, 100), null);
  assert.equal(filled.points.length, 4);
  for (const { x, y } of filled.points) assert.ok(x > 0 && x < 4256 && y < 2832 && pixelToLonLat(limb, x, y));
  const apart = filled.points.flatMap((a, i) => filled.points.slice(i + 1).map((b) => Math.hypot(a.x - b.x, a.y - b.y)));
  assert.ok(Math.min(...apart) > 700);
  assert.equal(fillUp(filled), filled);
  const away = limb.position_ecef_m.map((each) => -each) as [number, number, number];
  assert.equal(fillUp({ ...EMPTY, camera: { ...limb, position_ecef_m: away } }).points.length, 0);
});

test("tags are split at commas, trimmed, and named once", () => {
  assert.deepEqual(tagsIn(" aurora, moon ,,aurora"), ["aurora", "moon"]);
});

test("a person's point that lies where the camera has it does not count, unless a hand put it there; none that is off does", () => {
  const above = aimedCamera({ nadir: [0, 0], altitude_km: 410, place: [0, 0], turn_deg: 0 }, plainLens(101, 51, 100))!;
  const [lon, lat] = pixelToLonLat(above, 10, 20)!;
  const point: Point = { x: 10, y: 20, lon, lat, sigma_px: null, origin: "person" };
  const kinds = [point, { ...point, by_hand: true }, { ...point, lat: lat + 1 }, { ...point, by_hand: true, off: true }];
  assert.deepEqual(kinds.map((each) => isIndependent(each, above)), [false, true, true, false]);
});

const PIXELS: [number, number][] = [[500, 400], [3700, 500], [600, 2400], [3600, 2300]];

function pointAt(camera: Camera, [x, y]: [number, number]): Point {
  const [lon, lat] = pixelToLonLat(camera, x, y)!;
  return { x, y, lon, lat, sigma_px: 0.5, origin: "engine" };
}

function frameOf(camera: Camera | null): Frame {
  return {
    id: 3,
    frame: "made up",
    verdict: "review",
    camera,
    points: camera === null ? [] : PIXELS.map((pixel) => pointAt(camera, pixel)),
    hypotheses: camera === null ? [] : [wrong, truth].map((each, rank) => ({ rank, camera: each, ncc: null, centre: null, place: null })),
    nadir: { lon: 136, lat: 35, altitude_km: 410, source: "tle", sigma_along_km: 5 },
    width_px: 4256,
    height_px: 2832,
    focal_mm: 50,
    pixel_pitch_um: 8.4,
    draft: null,
    decisions: [],
  } as unknown as Frame;
}

function answerOf(camera: Camera, points: Point[]): SolveAnswer {
  const rows = points.map(() => ({ dx_px: 0, dy_px: 0, residual_px: 0, residual_m: 0, suspect: false }));
  return { camera, freed: ["attitude"], observations: 2 * points.length, over: 2 * points.length - 3, points: rows, attitude_only: null, rms_px: 0, rms_m: 0, warning: null, too_few: null };
}

/** An editor whose server always answers with the true camera: at once, or when the answers are let go. */
function editor(frame = frameOf(wrong), answers?: (() => void)[]) {
  const saved: (Draft | null)[] = [];
  const asked: Point[][] = [];
  const starts: Camera[] = [];
  const said: string[] = [];
  const made = new Editor({
    ask: async (_, { points, start }) => {
      asked.push(points);
      starts.push(start);
      if (answers) await new Promise<void>((resolve) => answers.push(resolve));
      return answerOf(truth, points);
    },
    changed: () => undefined,
    save: (_, draft) => saved.push(draft),
    say: (sentence) => said.push(sentence),
  });
  made.open(frame, "Ada", undefined);
  return { made, saved, asked, said, starts };
}

const place = (index: number): LonLat => pixelToLonLat(truth, ...PIXELS[index]!)!;
const near = (a: number[], b: number[], by: number): boolean => a.every((each, i) => Math.abs(each - b[i]!) <= by);

test("one dragged point turns the camera onto it, and the others follow", () => {
  const { made, asked } = editor();
  made.move(0, "map", place(0), true);
  const { camera, points } = made.draft;
  assert.ok(near(lonLatToPixel(camera!, ...place(0))!, PIXELS[0]!, 0.01));
  assert.deepEqual(asked, []);
  for (const point of points) assert.ok(near(pixelToLonLat(camera!, point.x, point.y)!, [point.lon, point.lat], 1e-6));
  assert.deepEqual(points.map((each) => each.origin), ["person", "engine", "engine", "engine"]);
});

test("every solution starts from the camera that was begun with, not from the last one", async () => {
  const { made, starts } = editor();
  for (const index of [0, 1, 2]) {
    made.move(index, "map", place(index), true);
    await made.solved;
  }
  assert.deepEqual(starts, [wrong, wrong]);
  made.choose(made.frame!.hypotheses[1]!);
  for (const index of [0, 1]) made.move(index, "map", place(index), true);
  await made.solved;
  assert.deepEqual(starts.at(-1), truth);
  made.undo();
  made.undo();
  made.undo();
  made.move(3, "map", place(3), true);
  await made.solved;
  assert.deepEqual(starts.at(-1), wrong);
});

test("an answer about a point that was deleted meanwhile moves nothing", async () => {
  for (const deleted of [[3], [3, 0]]) {
    const answers: (() => void)[] = [];
    const { made } = editor(frameOf(wrong), answers);
    made.move(0, "map", place(0), true);
    made.move(3, "map", place(3), true);
    for (const index of deleted) made.delete(index);
    const before = made.draft;
    for (const answer of answers) answer();
    await made.solved;
    assert.deepEqual(made.draft, before);
    assert.equal(made.solution?.answer ?? null, null);
  }
});

test("the way of the hand leaves no trace, and one undo takes back the whole drag", async () => {
  const { made, saved } = editor();
  const before = made.draft;
  for (let i = 0; i < 20; i += 1) made.move(1, "map", [130 + i / 10, 30], false);
  assert.equal(saved.length, 0);
  made.move(1, "map", place(1), true);
  const direct = editor().made;
  direct.move(1, "map", place(1), true);
  assert.ok(near(made.draft.camera!.quaternion, direct.draft.camera!.quaternion, 1e-12));
  made.undo();
  assert.deepEqual(made.draft, before);
  assert.equal(saved.at(-1), null);
  made.redo();
  assert.deepEqual(made.draft.points[1]?.origin, "person");
});

test("where nobody knows the nadir a click on the map says it, and no point is made of it; a pair is one point", () => {
  const pair = editor({ ...frameOf(null), nadir: null }).made;
  pair.add("photo", [2000, 1500]);
  pair.add("map", [20, 50]);
  assert.deepEqual(pair.draft.points.map((each) => [each.x, each.lon, each.origin]), [[2000, 20, "person"]]);
  const { made, said } = editor({ ...frameOf(null), nadir: null });
  made.add("map", [20, 50]);
  assert.equal(made.draft.points.length, 0);
  assert.match(said[0] ?? "", /now above/);
  const middle = pixelToLonLat(made.draft.camera!, 2127.5, 1415.5)!;
  assert.ok(near(middle, [20, 50], 1e-6));
});

test("a confirmed point is the engine's pair, wherever a drag took the camera", async () => {
  const { made, asked } = editor({ ...frameOf(wrong), hypotheses: [] } as Frame);
  const engine = made.frame!.points;
  made.move(0, "map", place(0), true);
  const residual_px = (index: number): number => made.residuals[index]?.residual_px ?? 0;
  for (const index of [1, 2, 3]) assert.ok(residual_px(index) > 100);
  for (const index of [1, 2, 3]) made.confirmMeasured(index);
  assert.deepEqual(made.draft.points.slice(1), engine.slice(1).map((each) => ({ ...each, origin: "confirmed" })));
  await made.solved;
  assert.deepEqual(asked.at(-1)?.slice(1), made.draft.points.slice(1));
});

test("what nothing measured is not confirmed by its camera", () => {
  const { made } = editor();
  made.choose(made.frame!.hypotheses[1]!);
  for (const index of [0, 1, 2, 3]) {
    assert.equal(made.measured(index), null);
    made.confirmMeasured(index);
  }
  assert.deepEqual(new Set(made.draft.points.map((each) => each.origin)), new Set(["engine"]));
});

test("a way out and back confirms nothing, and the camera is the engine's again, as without the point that moved it", () => {
  for (const index of [0, 1, 2, 3]) {
    const { made } = editor();
    const before = made.draft;
    const { lon, lat } = before.points[index]!;
    made.move(index, "map", [lon + 0.01, lat], true);
    assert.equal(made.draft.points[index]?.origin, "person");
    made.move(index, "map", [lon, lat], true);
    assert.deepEqual([made.draft.points, made.draft.camera], [before.points, before.camera]);
  }
  const { made } = editor();
  const { camera, points } = made.draft;
  made.move(0, "map", place(0), true);
  made.delete(0);
  assert.deepEqual([made.draft.camera, made.draft.points], [camera, points.slice(1)]);
});

test("a click however near the guess is where it was made; a pair that was left is not completed by a later one", () => {
  const { made } = editor();
  made.add("photo", [2000, 1500]);
  const { lon, lat } = made.draft.points[4]!;
  made.add("map", [lon + 0.001, lat]);
  assert.ok(Math.abs(made.draft.points[4]!.lon - lon - 0.001) < 1e-9);
  assert.equal(made.draft.points[4]?.origin, "person");
  made.add("photo", [2000, 1500]);
  made.leavePair();
  made.add("map", place(0));
  assert.equal(made.draft.points.length, 7);
});

test("what is read-only does not change", () => {
  const { made, said } = editor();
  made.readonly = true;
  const before = made.draft;
  made.move(0, "map", place(0), true);
  made.add("photo", [1, 1]);
  made.delete(0);
  made.tell({ comment: "x" });
  assert.equal(made.draft, before);
  assert.match(said[0] ?? "", /read-only/);
});

test("one goes back to any step, and forth again; what was said of the frame stays", () => {
  const { made } = editor();
  made.select(0);
  for (const index of [1, 2]) made.confirmMeasured(index);
  made.switchPoint(3);
  made.tell({ comment: "north is up" });
  assert.deepEqual(made.steps, { what: ["opened", "confirmed 2", "confirmed 3", "switched 4 off"], at: 3 });
  made.goTo(1);
  assert.deepEqual(made.draft.points.map((each) => each.origin), ["engine", "confirmed", "engine", "engine"]);
  assert.deepEqual([made.steps.at, made.draft.comment], [1, "north is up"]);
  made.redo();
  assert.equal(made.steps.at, 2);
  made.goTo(0);
  made.confirmMeasured(0);
  assert.deepEqual(made.steps, { what: ["opened", "confirmed 1"], at: 1 });
});
