import assert from "node:assert/strict";
import { test } from "node:test";
import { style } from "./place_names";

test("where two names do not fit, the larger town's stays", () => {
  const [tokyo, minato] = [9_700_000, 260_000].map((population) =>
    style({ name: "", country: "", lon: 0, lat: 0, population }, 1).getZIndex(),
  );
  assert.ok(tokyo! > minato!);
});
