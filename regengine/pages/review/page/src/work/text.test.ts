import assert from "node:assert/strict";
import { test } from "node:test";
import { aimedCamera, plainLens } from "../geometry/aim";
import type { PointEvidence } from "../types";
import { readAddress, writeAddress } from "./browser";
import { agreement } from "./evidence";
import { kmApart } from "./frame_boxes";
import { keyLabel, keyName } from "./keys";
import { coordinatesIn, probability } from "./text";

test("a probability never reads as certain", () => {
  assert.deepEqual([null, 0, 0.004, 0.42, 0.996, 1].map(probability), ["–", "< 1 %", "< 1 %", "42 %", "> 99 %", "> 99 %"]);
});

const READ: [string, [number, number] | null][] = [
  ["35.68, 139.77", [139.77, 35.68]],
  ["-33.87 151.21", [151.21, -33.87]],
  ["35.68N 139.77E", [139.77, 35.68]],
  ["139.77 E, 35.68 N", [139.77, 35.68]],
  ["33.45° S, 70.66° W", [-70.66, -33.45]],
  ["35°30'N, 139°45′36″E", [139.76, 35.5]],
  ["−12.5; 181", [-179, -12.5]],
  ...["Tokyo", "35.68", "95, 10", "35 N, 12 N", "10, 20, 30", "7 Mile, 3", ""].map((text): [string, null] => [text, null]),
];

test("latitude and longitude are read as people write them, and nothing else is", () => {
  for (const [text, place] of READ) assert.deepEqual(coordinatesIn(text)?.map((each) => +each.toFixed(9)) ?? null, place, text);
});

const plain = { ctrlKey: false, metaKey: false, altKey: false, shiftKey: false };

test("a key has one name, whatever makes its character, and is shown as it stands on the keyboard", () => {
  assert.equal(keyName({ ...plain, key: "a" }), "a");
  assert.equal(keyName({ ...plain, key: "A", shiftKey: true }), "Shift+a");
  assert.equal(keyName({ ...plain, key: "A" }), "a"); // caps lock
  assert.equal(keyName({ ...plain, key: "?", shiftKey: true }), "?");
  assert.equal(keyName({ ...plain, key: "z", ctrlKey: true }), "Ctrl+z");
  assert.equal(keyName({ ...plain, key: "Z", metaKey: true, shiftKey: true }), "Ctrl+Shift+z");
  assert.equal(keyName({ ...plain, key: "ArrowUp", shiftKey: true }), "Shift+ArrowUp");
  assert.equal(keyLabel("a"), "A");
  assert.equal(keyLabel("Ctrl+Shift+z"), "Ctrl Shift Z");
  assert.equal(keyLabel("Shift+ArrowUp"), "Shift ↑");
});

test("an address says what it was made of", () => {
  const filter = "status=all&sort=name&verdict=review&verdict=no_match&bbox=170%2C-3.5%2C-170%2C3.5&text=a%26b%3D%23c&tag=%C3%BCber";
  const read = readAddress(writeAddress(17, filter));
  assert.deepEqual([read.frame, read.filter.toString()], [17, filter]);
  assert.equal(readAddress("#frame=../../etc&status=all").frame, null);
});

const lens = plainLens(4256, 2832, 6000);
const over = (lon: number, lat: number) => aimedCamera({ nadir: [lon, lat], altitude_km: 410, place: [lon, lat], turn_deg: 20 }, lens)!;

test("two cameras straight above places a degree apart are as far apart as the places", () => {
  const apart = kmApart(over(10, 0), over(11, 0))!;
  assert.ok(Math.abs(apart.median - 111.3) < 1 && apart.most >= apart.median && apart.most < 113);
  assert.deepEqual(kmApart(over(10, 0), over(10, 0)), { median: 0, most: 0 });
});

const at = (off_px: number | null, sigma_px: number | null = 0.5): PointEvidence => ({ off_px, sigma_px, why: null });

test("a point agrees within what chance leads to once in a thousand", () => {
  // sqrt(-2 ln 0.001) = 3.717 standard deviations
  assert.equal(agreement(at(1.85)), "agrees");
  assert.equal(agreement(at(1.87)), "near");
  assert.equal(agreement(at(3.71)), "near");
  assert.equal(agreement(at(3.72)), "off");
  assert.equal(agreement(at(null)), "unknown");
  assert.equal(agreement(at(3, null)), "unknown");
});
