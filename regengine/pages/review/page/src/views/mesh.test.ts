import assert from "node:assert/strict";
import { test } from "node:test";
import { lonLatToPixel, pixelToGround } from "../geometry/camera";
import { cameraOver } from "./geometry_for_tests";
import { toLonLat, WORLD_M } from "./mercator";
import { flatMesh, groundMesh, outline, wholePhoto } from "./mesh";

const below = cameraOver([20, -30]);
const limb = cameraOver([0, 0], [0, 17], 0, 3000);

test("every vertex is the place that the camera sees there, also where the sky cuts", () => {
  for (const camera of [cameraOver([10, 45], [11, 46], 30), limb]) {
    for (const { pixel, at } of groundMesh(camera, wholePhoto(camera), 6, 4).flat()) {
      const seen = lonLatToPixel(camera, ...toLonLat(at))!;
      assert.ok(Math.hypot(seen[0] - pixel[0], seen[1] - pixel[1]) < 1e-3);
    }
  }
});

test("a photo across the antimeridian is one piece", () => {
  const camera = cameraOver([179.8, 10]);
  const mesh = groundMesh(camera, wholePhoto(camera), 12, 8);
  assert.equal(mesh.length, 2 * 96);
  const xs = mesh.flat().map(({ at }) => at[0]!);
  assert.ok(Math.max(...xs) - Math.min(...xs) < WORLD_M / 20);
  assert.ok(Math.min(...xs) < WORLD_M / 2 && Math.max(...xs) > WORLD_M / 2);
});

test("the triangles cover the pixels on the ground, once, and no sky", () => {
  for (const camera of [below, limb]) {
    const mesh = groundMesh(camera, wholePhoto(camera), 24, 16);
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
    const edges = outline(groundMesh(camera, wholePhoto(camera), 24, 16));
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
  assert.equal(flatMesh(below, wholePhoto(below), 5).length, 2 * 6 * 4);
  assert.ok(flatMesh(below, wholePhoto(below), 0.2).length > 2 * 6 * 4);
  assert.ok(flatMesh(limb, wholePhoto(limb), 5).length > 2 * 6 * 4);
});

function area(corners: number[][]): number {
  const [a, b, c] = corners as [number[], number[], number[]];
  return Math.abs((b[0]! - a[0]!) * (c[1]! - a[1]!) - (b[1]! - a[1]!) * (c[0]! - a[0]!)) / 2;
}
