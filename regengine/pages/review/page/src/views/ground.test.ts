import assert from "node:assert/strict";
import { test } from "node:test";
import { cameraOver } from "./geometry_for_tests";
import { northTurn } from "./ground";

test("a photo whose top looks to an azimuth is turned clockwise by it", () => {
  for (const azimuth of [0, 60, 200, -90]) {
    const turn = northTurn(cameraOver([100, 20], [100, 20], azimuth))!;
    const difference = turn - (azimuth * Math.PI) / 180;
    assert.ok(Math.abs(Math.sin(difference / 2)) < 1e-3, `${azimuth}`);
  }
});

test("a photo with nothing but sky has no north", () => {
  const camera = cameraOver([100, 20]);
  const away = { ...camera, position_ecef_m: camera.position_ecef_m.map((v) => -v) as [number, number, number] };
  assert.equal(northTurn(away), null);
});
