import assert from "node:assert/strict";
import { test } from "node:test";
import { keyLabel, keyName } from "./keys";

const plain = { ctrlKey: false, metaKey: false, altKey: false, shiftKey: false };

test("a key has one name, whatever makes its character", () => {
  assert.equal(keyName({ ...plain, key: "a" }), "a");
  assert.equal(keyName({ ...plain, key: "A", shiftKey: true }), "Shift+a");
  assert.equal(keyName({ ...plain, key: "A" }), "a"); // caps lock
  assert.equal(keyName({ ...plain, key: "?", shiftKey: true }), "?");
  assert.equal(keyName({ ...plain, key: "z", ctrlKey: true }), "Ctrl+z");
  assert.equal(keyName({ ...plain, key: "Z", metaKey: true, shiftKey: true }), "Ctrl+Shift+z");
  assert.equal(keyName({ ...plain, key: "ArrowUp", shiftKey: true }), "Shift+ArrowUp");
});

test("keys are shown as they stand on the keyboard", () => {
  assert.equal(keyLabel("a"), "A");
  assert.equal(keyLabel("Ctrl+Shift+z"), "Ctrl Shift Z");
  assert.equal(keyLabel("Shift+ArrowUp"), "Shift ↑");
});
