import assert from "node:assert/strict";
import { test } from "node:test";
import { aimedCamera, plainLens } from "./aim";
import { ecefToPixel, pixelToEcef } from "./camera";
import { atHorizon, azimuthOf, limbPoints, seesGround, turnedOver, withLimbAt } from "./horizon";
import { geodeticToEcef, intersectEllipsoid } from "./earth";
import { minus } from "./vector";
import type { Camera } from "../types";

const LENS = plainLens(3000, 2000, 2400);
const START = aimedCamera({ nadir: [12, 47], altitude_km: 410, place: [14, 48], turn_deg: 30 }, LENS)!;

function onLimb(camera: Camera, [x, y]: [number, number]): boolean {
  const step = 0.5;
  const seen = [-step, step].flatMap((dx) => [-step, step].map((dy) => pixelToEcef(camera, x + dx, y + dy) !== null));
  return seen.includes(true) && seen.includes(false);
}

test("rays to the points of the limb graze the ellipsoid", () => {
  const eye = START.position_ecef_m;
  for (const point of limbPoints(eye, 12)) {
    const over = point.map((each) => each * 1.00001) as [number, number, number];
    const under = point.map((each) => each * 0.99999) as [number, number, number];
    assert.equal(intersectEllipsoid(eye, minus(over, eye)), null);
    assert.ok(intersectEllipsoid(eye, minus(under, eye)));
  }
  const sees = seesGround(eye);
  assert.ok(sees(geodeticToEcef(20, 50)));
  assert.ok(!sees(geodeticToEcef(60, 50)));
});

test("the limb goes where it is dragged: through one pixel, then through two", () => {
  const level = atHorizon(START, 0.7, [0, -1]);
  assert.ok(onLimb(level, [1499.5, 999.5 - 2000 / 6]));
  assert.ok(Math.abs(azimuthOf(level).azimuthRad - 0.7) < 1e-6);
  const once = withLimbAt(level, [[400, 300]])!;
  assert.ok(onLimb(once, [400, 300]));
  const twice = withLimbAt(once, [[400, 300], [2600, 700]])!;
  assert.ok(onLimb(twice, [400, 300]));
  assert.ok(onLimb(twice, [2600, 700]));
  assert.ok(pixelToEcef(twice, 1500, 1900) && !pixelToEcef(twice, 2000, 50), "the sky is above");
});

test("turned over the nadir, the limb stays and the place follows", () => {
  const level = atHorizon(START, 0.7, [0, -1]);
  const ground = pixelToEcef(level, 1200, 1500)!;
  const turned = turnedOver(level, [1200, 1500], [1700, 1500]);
  assert.ok(onLimb(turned, [1499.5, 999.5 - 2000 / 6]));
  const [x, y] = ecefToPixel(turned, ground)!;
  assert.ok(Math.abs(x - 1700) < 5 && Math.abs(y - 1500) < 60, `${x} ${y}`);
});

test("a photo that was held upright has the sky at its left as stored", () => {
  const level = atHorizon(START, 2, [-1, 0]);
  assert.equal(pixelToEcef(level, 100, 1000), null);
  assert.ok(pixelToEcef(level, 2900, 1000));
});
