import assert from "node:assert/strict";
import { test } from "node:test";
import { filterQuery } from "./api";

test("a filter's lists repeat the parameter, and what is empty is left out", () => {
  const query = filterQuery({ verdict: ["review", "no_match"], text: "", bbox: [170, -10, -170, 10] });
  assert.equal(query.toString(), "verdict=review&verdict=no_match&bbox=170%2C-10%2C-170%2C10");
});
