// The page's camera against the engine's: vectors.json is made by
// tests/world/geometry_vectors.py, and a test says when it is old.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Camera, LonLat } from "../types";
import { type Aim, aimedCamera, grabbed, plainLens, turned, zoomed } from "./aim";
import { type Lens, lonLatToPixel, middle, pixelToEcef, pixelToGround, pixelToLonLat } from "./camera";
import { ecefToGeodetic, geodeticToEcef, greatCircleKm, intersectEllipsoid } from "./earth";
import { atHorizon, limbPoints, seesGround } from "./horizon";
import { minus } from "./vector";
import vectors from "./vectors.json";

interface Case {
  name: string;
  aim: Aim;
  lens: Lens;
  camera: Camera;
  pixels: { x: number; y: number; place: LonLat | null; incidence_deg: number }[];
  places: { place: LonLat; pixel: [number, number] | null }[];
}

const cases = vectors as unknown as Case[];
// A hundredth of a pixel is promised; the same formulas agree far better than that
const MAX_PX = 1e-4;
const MAX_KM = 1e-6;

function nearPixel(a: [number, number] | null, b: [number, number] | null): void {
  assert.ok(a && b && Math.hypot(a[0] - b[0], a[1] - b[1]) < MAX_PX, `${a} against ${b}`);
}

function nearPlace(a: LonLat | null, b: LonLat | null): void {
  assert.ok(a && b && greatCircleKm(a, b) < MAX_KM, `${a} against ${b}`);
}

for (const { name, aim, lens, camera, pixels, places } of cases) {
  test(`${name}: pixels see the places that the engine says, and places lie at its pixels, or nowhere`, () => {
    for (const { x, y, place, incidence_deg } of pixels) {
      const ground = pixelToGround(camera, x, y);
      if (place === null) {
        assert.equal(ground, null);
      } else {
        nearPlace(ground && ground.place, place);
        assert.ok(ground && Math.abs(ground.incidence_deg - incidence_deg) < 1e-5);
      }
    }
    for (const { place, pixel } of places) {
      const at = lonLatToPixel(camera, place[0], place[1]);
      if (pixel === null) assert.equal(at, null);
      else nearPixel(at, pixel);
    }
  });

  test(`${name}: the aim makes the engine's camera`, () => {
    const made = aimedCamera(aim, lens);
    assert.ok(made);
    for (const { place, pixel } of places) {
      if (pixel) nearPixel(lonLatToPixel(made, place[0], place[1]), pixel);
    }
  });

  test(`${name}: what is grabbed, turned about or zoomed at stays under the pixel`, () => {
    const pixel: [number, number] = [camera.width_px * 0.45, camera.height_px * 0.55];
    const here = pixelToLonLat(camera, pixel[0], pixel[1]);
    const there = pixelToLonLat(camera, ...middle(camera));
    assert.ok(here && there);
    nearPixel(lonLatToPixel(turned(camera, pixel, 33), here[0], here[1]), pixel);
    const near = zoomed(camera, pixel, camera.focal_px * 1.3);
    nearPixel(lonLatToPixel(near, here[0], here[1]), pixel);
    assert.equal(near.focal_px, camera.focal_px * 1.3);
    const dragged = grabbed(camera, pixel, there);
    assert.ok(dragged);
    nearPixel(lonLatToPixel(dragged, there[0], there[1]), pixel);
    const hidden = grabbed(camera, pixel, [here[0] + 180, -here[1]]);
    assert.equal(hidden, null);
  });
}

test("a turn is clockwise on the map, mirrored or not", () => {
  for (const { aim, lens, camera, places } of cases) {
    const after = turned(camera, middle(camera), 10);
    const made = aimedCamera({ ...aim, turn_deg: aim.turn_deg + 10 }, lens);
    for (const { place, pixel } of places) {
      if (pixel && made) nearPixel(lonLatToPixel(after, ...place), lonLatToPixel(made, ...place));
    }
  }
});

test("places beyond the horizon of a nadir cannot be aimed at", () => {
  const { aim, lens } = cases[0] as Case;
  assert.equal(aimedCamera({ ...aim, place: [aim.place[0] + 40, aim.place[1]] }, lens), null);
});

test("positions in space and on the ellipsoid are the same both ways", () => {
  for (const [lon, lat, height] of [[-180, 12, 4e5], [17, -90, 0], [179.999, 89.99, 1e3]] as const) {
    const back = ecefToGeodetic(geodeticToEcef(lon, lat, height));
    nearPlace([back.lon, back.lat], [lon, lat]);
    assert.ok(Math.abs(back.heightM - height) < 1e-3);
  }
});

const LENS = plainLens(3000, 2000, 2400);
const START = aimedCamera({ nadir: [12, 47], altitude_km: 410, place: [14, 48], turn_deg: 30 }, LENS)!;

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

test("a photo that was held upright has the sky at its left as stored", () => {
  const level = atHorizon(START, 2, [-1, 0]);
  assert.equal(pixelToEcef(level, 100, 1000), null);
  assert.ok(pixelToEcef(level, 2900, 1000));
});
