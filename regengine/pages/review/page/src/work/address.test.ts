import assert from "node:assert/strict";
import { test } from "node:test";
import { readAddress, writeAddress } from "./address";

test("an address says what it was made of", () => {
  const filter = "status=all&sort=name&verdict=review&verdict=no_match&bbox=170%2C-3.5%2C-170%2C3.5&text=a%26b%3D%23c&tag=%C3%BCber";
  const read = readAddress(writeAddress(17, filter));
  assert.deepEqual([read.frame, read.filter.toString()], [17, filter]);
  assert.equal(readAddress("#frame=../../etc&status=all").frame, null);
});
