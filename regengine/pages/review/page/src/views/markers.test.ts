import assert from "node:assert/strict";
import { test } from "node:test";
import { pixelToLonLat } from "../geometry/camera";
import type { Point, PointResidual } from "../types";
import { cameraOver } from "./geometry_for_tests";
import { exaggeration, markerAt, markersOf } from "./markers";
import { toLonLat } from "./mercator";
import { planeToPixel } from "./pixel_plane";

const camera = cameraOver([179.9, 0]);
const [lon, lat] = pixelToLonLat(camera, 1003, 996)!;
// the camera puts the place at (1003, 996): the point stands 3 px left of it and 4 px below
const point: Point = { x: 1000, y: 1000, lon, lat, sigma_px: null, origin: "person" };
const residual: PointResidual = {
  dx_px: -3, dy_px: 4, residual_px: 5, residual_m: null, left_out_px: null, suspect: true,
};
const work = { points: [point], selected: 0, awaited: null, camera };

test("on the photo the residual runs to where the camera puts the place", () => {
  const [marker] = markersOf("photo", work, [residual]);
  assert.deepEqual(planeToPixel(marker!.at), [1000, 1000]);
  assert.deepEqual(planeToPixel(marker!.towards!), [1003, 996]);
  assert.ok(marker!.suspect && marker!.selected);
});

test("on the map it runs to what the camera sees at the pixel, in the same world", () => {
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
