import assert from "node:assert/strict";
import test from "node:test";
import type { PointEvidence } from "../types";
import { agreement } from "./evidence";

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
