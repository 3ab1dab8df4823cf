import assert from "node:assert/strict";
import { test } from "node:test";
import { aimedCamera, plainLens } from "../geometry/aim";
import { lonLatToPixel, middle as middlePixel, pixelToGround, pixelToLonLat } from "../geometry/camera";
import { greatCircleKm } from "../geometry/earth";
import type { Camera, LonLat, Point, PointResidual } from "../types";
import { flatMesh, groundMesh, northTurn, outline } from "./ground";
import { style } from "./place_names";
import { handles, movedTo, pixelUnder, turnedTowards, zoomedTowards } from "./place_tool";
import { nearestCopy, pixelToPlane, planeToPixel, toLonLat, toMercator, uprightTurn, usePlane, WORLD_M } from "./planes";
import { exaggeration, markerAt, markersOf } from "./points";
import { roundBelow } from "./scale_bar";
import { colourOf, NEUTRAL, photoStretch, toneTable } from "./tone";
import { affineBetween, grown, type Triangle } from "./warp";

function cameraOver(nadir: LonLat, place: LonLat = nadir, turn_deg = 0, focal_px = 5000) {
  const camera = aimedCamera({ nadir, altitude_km: 420, place, turn_deg }, plainLens(4256, 2832, focal_px));
  if (!camera) throw new Error("the place is hidden");
  return camera;
}

test("a photo whose top looks to an azimuth is turned clockwise by it, one of the sky not at all", () => {
  for (const azimuth of [0, 60, 200, -90]) {
    const turn = northTurn(cameraOver([100, 20], [100, 20], azimuth))!;
    const difference = turn - (azimuth * Math.PI) / 180;
    assert.ok(Math.abs(Math.sin(difference / 2)) < 1e-3, `${azimuth}`);
  }
  const camera = cameraOver([100, 20]);
  const away = { ...camera, position_ecef_m: camera.position_ecef_m.map((v) => -v) as [number, number, number] };
  assert.equal(northTurn(away), null);
});

test("a scale bar shows a round number that has room", () => {
  assert.deepEqual([0.37, 1, 4.9, 60, 1999].map(roundBelow), [0.2, 1, 2, 50, 1000]);
});

const below = cameraOver([20, -30]);
const limb = cameraOver([0, 0], [0, 17], 0, 3000);

test("every vertex is the place that the camera sees there, also where the sky cuts", () => {
  for (const camera of [cameraOver([10, 45], [11, 46], 30), limb]) {
    for (const { pixel, at } of groundMesh(camera, 6, 4).flat()) {
      const seen = lonLatToPixel(camera, ...toLonLat(at))!;
      assert.ok(Math.hypot(seen[0] - pixel[0], seen[1] - pixel[1]) < 1e-3);
    }
  }
});

test("a photo across the antimeridian is one piece", () => {
  const camera = cameraOver([179.8, 10]);
  const mesh = groundMesh(camera, 12, 8);
  assert.equal(mesh.length, 2 * 96);
  const xs = mesh.flat().map(({ at }) => at[0]!);
  assert.ok(Math.max(...xs) - Math.min(...xs) < WORLD_M / 20);
  assert.ok(Math.min(...xs) < WORLD_M / 2 && Math.max(...xs) > WORLD_M / 2);
});

test("the triangles cover the pixels on the ground, once, and no sky", () => {
  for (const camera of [below, limb]) {
    const mesh = groundMesh(camera, 24, 16);
    const drawn = mesh.reduce((sum, triangle) => sum + area(triangle.map(({ pixel }) => pixel)), 0);
    let ground = 0;
    for (let x = 5; x < 4256; x += 10) {
      for (let y = 5; y < 2832; y += 10) {
        if ((pixelToGround(camera, x, y)?.incidence_deg ?? 90) < 85) ground += 100;
      }
    }
    assert.ok(Math.abs(drawn - ground) < 0.005 * ground, `${drawn} ${ground}`);
  }
});

test("the outline is one closed ring of the photo's border and of the limb", () => {
  for (const camera of [below, limb]) {
    const edges = outline(groundMesh(camera, 24, 16));
    const count = new Map<string, number>();
    for (const end of edges.flat()) count.set(String(end), (count.get(String(end)) ?? 0) + 1);
    assert.ok([...count.values()].every((times) => times === 2));
    let atLimb = 0;
    for (const end of edges.flat()) {
      const [x, y] = lonLatToPixel(camera, ...toLonLat(end))!;
      const border = Math.min(x + 0.5, y + 0.5, 4255.5 - x, 2831.5 - y);
      if (border < 1e-3) continue;
      atLimb++;
      assert.ok(Math.abs(pixelToGround(camera, x, y)!.incidence_deg - 85) < 0.05);
    }
    assert.equal(atLimb > 20, camera === limb);
  }
});

test("the coarsest mesh is taken that is flat enough, a finer one at the limb", () => {
  assert.equal(flatMesh(below, 5).length, 2 * 6 * 4);
  assert.ok(flatMesh(below, 0.2).length > 2 * 6 * 4);
  assert.ok(flatMesh(limb, 5).length > 2 * 6 * 4);
});

function area(corners: number[][]): number {
  const [a, b, c] = corners as [number[], number[], number[]];
  return Math.abs((b[0]! - a[0]!) * (c[1]! - a[1]!) - (b[1]! - a[1]!) * (c[0]! - a[0]!)) / 2;
}

const camera = cameraOver([179.9, 0]);
const [lon, lat] = pixelToLonLat(camera, 1003, 996)!;
// the camera puts the place at (1003, 996): the point stands 3 px left of it and 4 px below
const point: Point = { x: 1000, y: 1000, lon, lat, sigma_px: null, origin: "person" };
const residual: PointResidual = {
  dx_px: -3, dy_px: 4, residual_px: 5, residual_m: null, suspect: true,
};
const work = { points: [point], selected: 0, awaited: null, camera };

test("residuals run to where the camera puts the place in the photo, on the map to what it sees at the pixel, in the same world", () => {
  const [inPhoto] = markersOf("photo", work, [residual]);
  assert.deepEqual(planeToPixel(inPhoto!.at), [1000, 1000]);
  assert.deepEqual(planeToPixel(inPhoto!.towards!), [1003, 996]);
  assert.ok(inPhoto!.residual!.suspect && inPhoto!.selected);
  const [marker] = markersOf("map", { ...work, points: [{ ...point, lon: lon < 0 ? lon + 360 : lon - 360 }] }, [residual]);
  const seen = pixelToLonLat(camera, 1000, 1000)!;
  assert.ok(Math.abs(toLonLat(marker!.towards!)[1] - seen[1]) < 1e-9);
  assert.ok(Math.abs(marker!.towards![0]! - marker!.at[0]!) < 10_000);
});

test("residuals are drawn as long as fits, never shorter than they are", () => {
  const markers = markersOf("photo", work, [residual]);
  assert.equal(exaggeration(markers, 1), 5); // 25 px on the screen; 10 times would be 50
  assert.equal(exaggeration(markers, 0.01), 1);
  assert.equal(exaggeration(markersOf("photo", work, []), 1), 1);
});

test("the nearest point is taken, but the selected one before it", () => {
  const on = [[100, 100], [108, 100], null];
  assert.equal(markerAt([106, 100], on, 12, null), 1);
  assert.equal(markerAt([106, 100], on, 12, 0), 0);
  assert.equal(markerAt([130, 100], on, 12, 0), null);
});

// EXIF's own words: where the 0th row and the 0th column of the stored picture are when it is held upright
const HELD = ["top left", "top right", "bottom right", "bottom left", "left top", "right top", "right bottom", "left bottom"];
const SIDES: Record<string, [number, number]> = { top: [0, -1], bottom: [0, 1], left: [-1, 0], right: [1, 0] };

test("a photo of any EXIF orientation is shown as it was held, mirrored ones, too", () => {
  HELD.forEach((words, i) => {
    const orientation = i + 1;
    usePlane(300, orientation);
    const turn = uprightTurn(orientation);
    const middle = pixelToPlane([149.5, 99.5]);
    const seenAt = (x: number, y: number) => {
      const [right, up] = pixelToPlane([x, y]).map((each, axis) => each - middle[axis]!) as [number, number];
      const on = [right * Math.cos(turn) + up * Math.sin(turn), right * Math.sin(turn) - up * Math.cos(turn)];
      return on.map((each) => Math.sign(Math.round(each)) + 0);
    };
    const [row, column] = words.split(" ");
    assert.deepEqual([seenAt(149.5, -0.5), seenAt(-0.5, 99.5)], [SIDES[row!], SIDES[column!]], String(orientation));
    assert.deepEqual(planeToPixel(pixelToPlane([12, 34])), [12, 34]);
  });
  usePlane(300, 1);
});

test("where two names do not fit, the larger town's stays", () => {
  const [tokyo, minato] = [9_700_000, 260_000].map((population) =>
    style({ name: "", country: "", lon: 0, lat: 0, population }, 1).getZIndex(),
  );
  assert.ok(tokyo! > minato!);
});

const oblique = cameraOver([-179.5, 48], [179, 51], 40);

test("what is grabbed lies under the pointer, also in the next world", () => {
  const goal: LonLat = [-178.2, 50];
  const [x, y] = toMercator(goal);
  const moved = movedTo(oblique, [800, 2000], [x! + WORLD_M, y!])!;
  assert.ok(greatCircleKm(pixelToLonLat(moved, 800, 2000)!, goal) < 0.001);
  assert.deepEqual(moved.position_ecef_m, oblique.position_ecef_m);
});

test("a corner that is turned points to the pointer; the middle stays", () => {
  const corner = handles(oblique).find(({ kind }) => kind === "turn")!;
  const middle = toMercator(shownInMiddle(oblique));
  const goal = [middle[0]! - 3e5, middle[1]! + 1e5];
  const turned = turnedTowards(oblique, corner.pixel, goal)!;
  assert.ok(greatCircleKm(shownInMiddle(turned), shownInMiddle(oblique)) < 0.001);
  const now = handles(turned).find(({ pixel }) => pixel === corner.pixel || String(pixel) === String(corner.pixel))!;
  const bearing = (at: number[]) => Math.atan2(nearestCopy(at, middle[0]!)[0]! - middle[0]!, at[1]! - middle[1]!);
  assert.ok(Math.abs(bearing(now.at) - bearing(goal)) < 0.01);
  assert.equal(turned.focal_px, oblique.focal_px);
});

test("an edge that is pulled twice as far out halves the focal length, about", () => {
  const camera = cameraOver([10, 10]);
  const edge = handles(camera).find(({ kind }) => kind === "zoom")!;
  const middle = toMercator(shownInMiddle(camera));
  const goal = [middle[0]! + 2 * (edge.at[0]! - middle[0]!), middle[1]! + 2 * (edge.at[1]! - middle[1]!)];
  const zoomed = zoomedTowards(camera, edge.pixel, goal)!;
  assert.ok(Math.abs(zoomed.focal_px / camera.focal_px - 0.5) < 0.02);
  const at = handles(zoomed).find(({ pixel }) => String(pixel) === String(edge.pixel))!.at;
  assert.ok(Math.hypot(at[0]! - goal[0]!, at[1]! - goal[1]!) < 500);
});

test("the pixel under a place is what the camera sees there, and none beside the photo", () => {
  const place = pixelToLonLat(oblique, 100, 200)!;
  const pixel = pixelUnder(oblique, toMercator(place))!;
  assert.ok(Math.hypot(pixel[0] - 100, pixel[1] - 200) < 1e-3);
  assert.equal(pixelUnder(oblique, toMercator([-150, 30])), null);
  assert.ok(Math.abs(toLonLat(toMercator(place))[0] - place[0]) < 1e-9);
});

function shownInMiddle(camera: Camera): LonLat {
  return pixelToLonLat(camera, ...middlePixel(camera))!;
}

test("each level of the map has a brighter colour than the one below, up to the core of a city", () => {
  const luminance = (level: number) => {
    const [r, g, b] = colourOf("map", "own", level);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  for (let level = 1; level < 256; level++) {
    assert.ok(luminance(level / 255) > luminance((level - 1) / 255), String(level));
  }
});

test("told apart, what photo and map both have is white, and what one has is coloured", () => {
  const photo = colourOf("photo", "apart", 1);
  const map = colourOf("map", "apart", 1);
  const both = photo.map((each, i) => 1 - (1 - each) * (1 - map[i]!)); // as the browser's screen
  assert.ok(Math.min(...both) > 0.75);
  for (const one of [photo, map]) assert.ok(Math.min(...one) < 0.2);
});

test("a dark photo is stretched to its own lights, by its brightest channel; one of one shade is not blown up into noise", () => {
  const rgba = new Uint8ClampedArray(4 * 1000);
  for (let i = 0; i < 1000; i++) rgba.set(i < 990 ? [10, 10, 10, 255] : [20, 100, 30, 255], 4 * i);
  const stretch = photoStretch(rgba);
  assert.deepEqual([stretch.black, stretch.white], [10 / 255, 100 / 255]);
  const table = toneTable(stretch, NEUTRAL);
  assert.equal(table[10], 0);
  assert.equal(table[100], 1);
  assert.ok(table[55]! > 0.5, "the middle is lifted");
  assert.ok(table.every((value, i) => i === 0 || value >= table[i - 1]!));
  const { black, white } = photoStretch(new Uint8ClampedArray(400).fill(250));
  assert.ok(black < white && white - black <= 16 / 255 && white <= 1);
});

const from: Triangle = [[0, 0], [10, 0], [10, 20]];

test("the affine map takes the corners to the corners; a triangle without area has none", () => {
  const to: Triangle = [[5, 7], [1, 3], [-4, 30]];
  const [a, b, c, d, e, f] = affineBetween(from, to)!;
  from.forEach(([x, y], i) => {
    assert.ok(Math.abs(a * x! + c * y! + e - to[i]![0]!) < 1e-9);
    assert.ok(Math.abs(b * x! + d * y! + f - to[i]![1]!) < 1e-9);
  });
  assert.equal(affineBetween([[0, 0], [1, 1], [2, 2]], from), null);
});

test("a grown triangle has every side moved outwards, and a sliver does not grow into a spike", () => {
  for (const triangle of [from, [...from].reverse() as Triangle]) {
    const big = grown(triangle);
    for (const [i, j] of [[0, 1], [1, 2], [2, 0]] as const) assert.ok(distanceToLine(triangle[i]!, big[i]!, big[j]!) >= 0.3);
    assert.ok(area(big) > area(triangle));
  }
  for (const [x, y] of grown([[0, 0], [100, 0], [100, 0.01]])) assert.ok(x! > -6 && x! < 106 && Math.abs(y!) < 6);
});

function distanceToLine(at: number[], a: number[], b: number[]): number {
  const [dx, dy] = [b[0]! - a[0]!, b[1]! - a[1]!];
  return Math.abs((at[0]! - a[0]!) * dy - (at[1]! - a[1]!) * dx) / Math.hypot(dx, dy);
}
