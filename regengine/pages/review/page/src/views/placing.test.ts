import assert from "node:assert/strict";
import { test } from "node:test";
import { middle as middlePixel, pixelToLonLat } from "../geometry/camera";
import { greatCircleKm } from "../geometry/earth";
import type { Camera, LonLat } from "../types";
import { cameraOver } from "./geometry_for_tests";
import { toLonLat, toMercator, WORLD_M } from "./mercator";
import { handles, movedTo, pixelUnder, turnedTowards, zoomedTowards } from "./placing";

const oblique = cameraOver([-179.5, 48], [179, 51], 40);

test("what is grabbed lies under the pointer, also in the next world", () => {
  const goal: LonLat = [-178.2, 50];
  const [x, y] = toMercator(goal);
  const moved = movedTo(oblique, [800, 2000], [x! + WORLD_M, y!])!;
  assert.ok(greatCircleKm(pixelToLonLat(moved, 800, 2000)!, goal) < 0.001);
  assert.deepEqual(moved.position_ecef_m, oblique.position_ecef_m);
});

test("a place beyond the horizon moves nothing", () => {
  assert.equal(movedTo(oblique, [800, 2000], toMercator([0, 0])), null);
});

test("a corner that is turned points to the pointer; the middle stays", () => {
  const corner = handles(oblique).find(({ kind }) => kind === "turn")!;
  const middle = toMercator(shownInMiddle(oblique));
  const goal = [middle[0]! - 3e5, middle[1]! + 1e5];
  const turned = turnedTowards(oblique, corner.pixel, goal)!;
  assert.ok(greatCircleKm(shownInMiddle(turned), shownInMiddle(oblique)) < 0.001);
  const now = handles(turned).find(({ pixel }) => pixel === corner.pixel || String(pixel) === String(corner.pixel))!;
  const bearing = (at: number[]) => Math.atan2(sameWorld(at[0]! - middle[0]!), at[1]! - middle[1]!);
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

function sameWorld(x: number): number {
  return x - WORLD_M * Math.round(x / WORLD_M);
}
