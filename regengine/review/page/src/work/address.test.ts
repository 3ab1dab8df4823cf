import assert from "node:assert/strict";
import { test } from "node:test";
import { readAddress, writeAddress, type Address } from "./address";

test("an address says what it was made of", () => {
  const address: Address = {
    frame: 17,
    filter: { status: "all", sort: "name", verdict: ["review", "no_match"], bbox: [170, -3.5, -170, 3.5], text: "a&b=#c", tag: "über" },
  };
  assert.deepEqual(readAddress(writeAddress(address)), address);
});

test("an address of nonsense is the usual one", () => {
  const usual = { frame: null, filter: { status: "open", sort: "doubt" } };
  assert.deepEqual(readAddress(""), usual);
  assert.deepEqual(readAddress("#frame=../../etc&status=x&bbox=1,2&sort=%00"), usual);
});
