import assert from "node:assert/strict";
import { test } from "node:test";
import { probability } from "./text";

test("a probability never reads as certain", () => {
  assert.deepEqual([null, 0, 0.004, 0.42, 0.996, 1].map(probability), ["–", "< 1 %", "< 1 %", "42 %", "> 99 %", "> 99 %"]);
});
