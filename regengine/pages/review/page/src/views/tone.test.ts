import assert from "node:assert/strict";
import { test } from "node:test";
import { colourOf, isPlain, NEUTRAL, photoStretch, PLAIN, toneTable } from "./tone";

test("what is neutral stays as it is", () => {
  assert.ok(isPlain(PLAIN, { ...NEUTRAL, opacity: 0.3 }));
  assert.ok(!isPlain(PLAIN, { ...NEUTRAL, gamma: 1.1 }));
});

test("each level of the map has a brighter colour than the one below, up to the core of a city", () => {
  const luminance = (level: number) => {
    const [r, g, b] = colourOf("map", "own", level);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  for (let level = 1; level < 256; level++) {
    assert.ok(luminance(level / 255) > luminance((level - 1) / 255), String(level));
  }
});

test("told apart, what photo and map both have is white, and what one has is coloured", () => {
  const photo = colourOf("photo", "apart", 1);
  const map = colourOf("map", "apart", 1);
  const both = photo.map((each, i) => 1 - (1 - each) * (1 - map[i]!)); // as the browser's screen
  assert.ok(Math.min(...both) > 0.75);
  for (const one of [photo, map]) assert.ok(Math.min(...one) < 0.2);
});

test("a dark photo is stretched to its own lights, by its brightest channel", () => {
  const rgba = new Uint8ClampedArray(4 * 1000);
  for (let i = 0; i < 1000; i++) rgba.set(i < 990 ? [10, 10, 10, 255] : [20, 100, 30, 255], 4 * i);
  const stretch = photoStretch(rgba);
  assert.deepEqual([stretch.black, stretch.white], [10 / 255, 100 / 255]);
  const table = toneTable(stretch, NEUTRAL);
  assert.equal(table[10], 0);
  assert.equal(table[100], 1);
  assert.ok(table[55]! > 0.5, "the middle is lifted");
  assert.ok(table.every((value, i) => i === 0 || value >= table[i - 1]!));
});

test("a photo of one shade is not blown up into noise", () => {
  const stretch = photoStretch(new Uint8ClampedArray(400).fill(250));
  assert.ok(stretch.white - stretch.black <= 16 / 255 && stretch.white <= 1);
  assert.ok(stretch.white > stretch.black);
});

test("gamma lifts, brightness multiplies, contrast spreads about the middle", () => {
  const at = (change: object) => toneTable(PLAIN, { ...NEUTRAL, ...change })[64]!;
  const level = 64 / 255;
  assert.ok(Math.abs(at({ gamma: 2 }) - Math.sqrt(level)) < 1e-12);
  assert.ok(Math.abs(at({ brightness: 1.5 }) - 1.5 * level) < 1e-12);
  assert.ok(Math.abs(at({ contrast: 1.5 }) - (0.5 + 1.5 * (level - 0.5))) < 1e-12);
});
