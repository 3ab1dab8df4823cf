import assert from "node:assert/strict";
import { test } from "node:test";
import { pixelToPlane, planeToPixel, uprightTurn, usePlane } from "./pixel_plane";

// EXIF's own words: where the 0th row and the 0th column of the stored picture are when it is held upright
const HELD = ["top left", "top right", "bottom right", "bottom left", "left top", "right top", "right bottom", "left bottom"];
const SIDES: Record<string, [number, number]> = { top: [0, -1], bottom: [0, 1], left: [-1, 0], right: [1, 0] };

test("a photo of any EXIF orientation is shown as it was held, mirrored ones, too", () => {
  HELD.forEach((words, i) => {
    const orientation = i + 1;
    usePlane(300, orientation);
    const turn = uprightTurn(orientation);
    const middle = pixelToPlane([149.5, 99.5]);
    const seenAt = (x: number, y: number) => {
      const [right, up] = pixelToPlane([x, y]).map((each, axis) => each - middle[axis]!) as [number, number];
      const on = [right * Math.cos(turn) + up * Math.sin(turn), right * Math.sin(turn) - up * Math.cos(turn)];
      return on.map((each) => Math.sign(Math.round(each)) + 0);
    };
    const [row, column] = words.split(" ");
    assert.deepEqual([seenAt(149.5, -0.5), seenAt(-0.5, 99.5)], [SIDES[row!], SIDES[column!]], String(orientation));
    assert.deepEqual(planeToPixel(pixelToPlane([12, 34])), [12, 34]);
  });
  usePlane(300, 1);
});
