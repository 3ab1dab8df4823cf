import assert from "node:assert/strict";
import { test } from "node:test";
import { pixelToLonLat } from "../geometry/camera";
import { cameraOver } from "./geometry_for_tests";
import { toMercator, WORLD_M } from "./mercator";
import { partInSight } from "./warp_source";

test("the part in sight holds the pixel in the middle of the map, in any world, and nothing beside the photo", () => {
  const camera = cameraOver([179.9, 40]);
  for (const world of [0, WORLD_M]) {
    const [x, y] = toMercator(pixelToLonLat(camera, 3000, 700)!) as [number, number];
    const [left, top, right, bottom] = partInSight(camera, [x + world - 2e4, y - 1e4, x + world + 2e4, y + 1e4])!;
    assert.ok(left < 3000 && right > 3000 && top < 700 && bottom > 700);
    assert.ok(right - left < 1500 && bottom - top < 1500);
  }
  for (const place of [[170, 40], [0, -40]] as [number, number][]) {
    const [x, y] = toMercator(place) as [number, number];
    assert.equal(partInSight(camera, [x - 1e4, y - 1e4, x + 1e4, y + 1e4]), null);
  }
});
