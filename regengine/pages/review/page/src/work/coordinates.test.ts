import assert from "node:assert/strict";
import { test } from "node:test";
import { coordinatesIn } from "./coordinates";

const READ: [string, [number, number]][] = [
  ["35.68, 139.77", [139.77, 35.68]],
  ["-33.87 151.21", [151.21, -33.87]],
  ["35.68N 139.77E", [139.77, 35.68]],
  ["139.77 E, 35.68 N", [139.77, 35.68]],
  ["33.45° S, 70.66° W", [-70.66, -33.45]],
  ["35°30'N, 139°45′36″E", [139.76, 35.5]],
  ["−12.5; 181", [-179, -12.5]],
];

for (const [text, [lon, lat]] of READ) {
  test(`"${text}" is a place`, () => {
    const read = coordinatesIn(text);
    assert.ok(read);
    assert.ok(Math.abs(read[0] - lon) < 1e-9 && Math.abs(read[1] - lat) < 1e-9, String(read));
  });
}

for (const text of ["Tokyo", "35.68", "95, 10", "35 N, 12 N", "10, 20, 30", "7 Mile, 3", ""]) {
  test(`"${text}" is none`, () => assert.equal(coordinatesIn(text), null));
}
