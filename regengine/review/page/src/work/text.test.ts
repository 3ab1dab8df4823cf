import assert from "node:assert/strict";
import { test } from "node:test";
import { placeOf } from "./given_box";
import { othersLine } from "./presence";
import { power } from "./text";

test("places are read as people write them", () => {
  assert.deepEqual(placeOf("35.68, 139.77"), [139.77, 35.68]);
  assert.deepEqual(placeOf(" 33.4° S 70.6° W"), [-70.6, -33.4]);
  assert.deepEqual(placeOf("-33.4;-70.6"), [-70.6, -33.4]);
  for (const text of ["", "Tokyo", "91, 0", "10, 200", "35.68"]) assert.equal(placeOf(text), null, text);
});

test("odds are read as powers of ten", () => {
  assert.deepEqual([power(9.3), power(12), power(0.301), power(1.7), power(-1)], ["10⁹", "10¹²", "2", "50", "0.1"]);
});

test("others who have the frame open are named once", () => {
  assert.equal(othersLine([], "Ada"), "");
  assert.equal(othersLine(["Bob", "Bob"], "Ada"), "Bob has this frame open, too.");
  assert.equal(othersLine(["Bob", "Eve"], "Ada"), "Bob and Eve have this frame open, too.");
  assert.equal(othersLine(["Ada"], "Ada"), "You, in another tab, have this frame open, too.");
});
