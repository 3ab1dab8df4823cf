import assert from "node:assert/strict";
import { test } from "node:test";
import { affineBetween, grown, type Triangle } from "./warp";

const from: Triangle = [[0, 0], [10, 0], [10, 20]];

test("the affine map takes the corners to the corners", () => {
  const to: Triangle = [[5, 7], [1, 3], [-4, 30]];
  const [a, b, c, d, e, f] = affineBetween(from, to)!;
  from.forEach(([x, y], i) => {
    assert.ok(Math.abs(a * x! + c * y! + e - to[i]![0]!) < 1e-9);
    assert.ok(Math.abs(b * x! + d * y! + f - to[i]![1]!) < 1e-9);
  });
});

test("a triangle without area has no affine map", () => {
  assert.equal(affineBetween([[0, 0], [1, 1], [2, 2]], from), null);
});

test("a grown triangle has every side moved outwards by as much, whichever way it runs", () => {
  for (const triangle of [from, [...from].reverse() as Triangle]) {
    const big = grown(triangle, 0.5);
    for (const [i, j] of [[0, 1], [1, 2], [2, 0]] as const) {
      const inner = distanceToLine(triangle[i]!, big[i]!, big[j]!);
      assert.ok(Math.abs(inner - 0.5) < 1e-9);
    }
    assert.ok(area(big) > area(triangle));
  }
});

test("a sliver does not grow into a spike", () => {
  const sliver: Triangle = [[0, 0], [100, 0], [100, 0.01]];
  for (const [x, y] of grown(sliver, 0.5)) {
    assert.ok(x! > -6 && x! < 106 && Math.abs(y!) < 6);
  }
});

function distanceToLine(at: number[], a: number[], b: number[]): number {
  const [dx, dy] = [b[0]! - a[0]!, b[1]! - a[1]!];
  return Math.abs((at[0]! - a[0]!) * dy - (at[1]! - a[1]!) * dx) / Math.hypot(dx, dy);
}

function area([a, b, c]: Triangle): number {
  return Math.abs((b[0]! - a[0]!) * (c[1]! - a[1]!) - (b[1]! - a[1]!) * (c[0]! - a[0]!)) / 2;
}
