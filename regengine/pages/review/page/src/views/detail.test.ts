import assert from "node:assert/strict";
import { test } from "node:test";
import { pixelToLonLat } from "../geometry/camera";
import { cameraOver } from "./geometry_for_tests";
import { detailTiles, partInSight } from "./detail";
import { toMercator, WORLD_M } from "./mercator";

const camera = cameraOver([179.9, 40]);
const pyramid = { max_zoom: 4, tile_px: 512, width_px: 4256, height_px: 2832 };

test("the part in sight holds the pixel in the middle of the map, in any world", () => {
  for (const world of [0, WORLD_M]) {
    const [x, y] = toMercator(pixelToLonLat(camera, 3000, 700)!) as [number, number];
    const extent = [x + world - 2e4, y - 1e4, x + world + 2e4, y + 1e4];
    const [left, top, right, bottom] = partInSight(camera, extent)!;
    assert.ok(left < 3000 && right > 3000 && top < 700 && bottom > 700);
    assert.ok(right - left < 1500 && bottom - top < 1500);
  }
});

test("beside the photo and behind the Earth nothing is in sight", () => {
  for (const place of [[170, 40], [0, -40]] as [number, number][]) {
    const [x, y] = toMercator(place) as [number, number];
    assert.equal(partInSight(camera, [x - 1e4, y - 1e4, x + 1e4, y + 1e4]), null);
  }
});

test("tiles of full size cover the part and nothing beyond the photo", () => {
  const tiles = detailTiles(pyramid, [1000, 2500, 1600, 2831.5], 1);
  assert.deepEqual(tiles.map(({ z, x, y }) => [z, x, y]), [[4, 1, 4], [4, 2, 4], [4, 3, 4], [4, 1, 5], [4, 2, 5], [4, 3, 5]]);
  assert.deepEqual(tiles[5]!.part, [1535.5, 2559.5, 2047.5, 2831.5]);
});

test("half the scale takes the level above; where they were very many, it is coarser", () => {
  assert.equal(detailTiles(pyramid, [1000, 2500, 1600, 2831.5], 0.5)[0]!.z, 3);
  const large = { max_zoom: 6, tile_px: 512, width_px: 32768, height_px: 20000 };
  const tiles = detailTiles(large, [-0.5, -0.5, 32767.5, 19999.5], 1);
  assert.ok(tiles.length <= 80 && tiles.every(({ z }) => z === tiles[0]!.z && z < 6 && z > 1));
});
