import assert from "node:assert/strict";
import { test } from "node:test";
import { advance, amend, redo, steps, undo } from "./undo";

test("undo and redo walk the same values", () => {
  const walked = ["b", "c", "d"].reduce(advance, steps("a"));
  assert.equal(undo(undo(walked)).now, "b");
  assert.equal(redo(undo(undo(walked))).now, "c");
  assert.equal(undo(undo(undo(undo(undo(walked))))).now, "a");
  assert.equal(redo(walked), walked);
});

test("a new step after an undo forgets what was undone", () => {
  const walked = advance(undo(advance(steps("a"), "b")), "c");
  assert.equal(redo(walked).now, "c");
  assert.equal(undo(walked).now, "a");
});

test("an amended step is undone as one", () => {
  const walked = amend(advance(steps("a"), "b"), "b with its camera");
  assert.equal(walked.now, "b with its camera");
  assert.equal(undo(walked).now, "a");
  assert.equal(redo(undo(walked)).now, "b with its camera");
});
