import assert from "node:assert/strict";
import { test } from "node:test";
import { power } from "./text";

test("odds are read as powers of ten", () => {
  assert.deepEqual([power(9.3), power(12), power(0.301), power(1.7), power(-1)], ["10⁹", "10¹²", "2", "50", "0.1"]);
});
