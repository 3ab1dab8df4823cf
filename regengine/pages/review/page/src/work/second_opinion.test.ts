import assert from "node:assert/strict";
import { test } from "node:test";
import { aimedCamera, plainLens } from "../geometry/aim";
import { kmApart } from "./second_opinion";

const lens = plainLens(4256, 2832, 6000);
const over = (lon: number, lat: number) => aimedCamera({ nadir: [lon, lat], altitude_km: 410, place: [lon, lat], turn_deg: 20 }, lens)!;

test("two cameras straight above places a degree apart are as far apart as the places", () => {
  const apart = kmApart(over(10, 0), over(11, 0))!;
  assert.ok(Math.abs(apart.median - 111.3) < 1 && apart.most >= apart.median && apart.most < 113);
  assert.deepEqual(kmApart(over(10, 0), over(10, 0)), { median: 0, most: 0 });
});
