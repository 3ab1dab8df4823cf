// Clicks of the tool "add" in photo and map, made into points: two clicks are a pair; where the
// camera knows the other half, one click is a point that the second one puts right. A click is where
// it was made: only `guess` can be confirmed as it is.

import { lonLatToPixel, pixelToLonLat } from "../geometry/camera";
import type { Awaited, Camera, LonLat, Side } from "../types";

type Spot = [number, number];

export type Clicked =
  /** A point that both clicks agree on. */
  | { kind: "pair"; pixel: Spot; place: LonLat }
  /** A point whose other half is the camera's guess. */
  | { kind: "guess"; pixel: Spot; place: LonLat }
  /** The other half of the point that was guessed last. */
  | { kind: "other"; index: number }
  /** The first half of a pair. */
  | { kind: "half" };

export class Pairs {
  private half: { side: Side; at: Spot } | null = null;
  private guessed: { index: number; side: Side } | null = null;

  /** The click that is waited for; null where any click is a first one. */
  get awaited(): Awaited | null {
    const first = this.half ?? this.guessed;
    if (first === null) return null;
    return { side: first.side === "photo" ? "map" : "photo", index: this.guessed?.index ?? null };
  }

  /** `index`: the number that a new point would have. */
  click(side: Side, at: Spot, camera: Camera | null, index: number): Clicked {
    const { half, guessed } = this;
    this.forget();
    if (guessed !== null && guessed.side !== side) return { kind: "other", index: guessed.index };
    if (half !== null && half.side !== side) {
      return side === "map" ? { kind: "pair", pixel: half.at, place: at } : { kind: "pair", pixel: at, place: half.at };
    }
    const twin = camera === null ? null : twinOf(camera, side, at);
    if (twin === null) {
      this.half = { side, at };
      return { kind: "half" };
    }
    this.guessed = { index, side };
    return side === "photo" ? { kind: "guess", pixel: at, place: twin } : { kind: "guess", pixel: twin, place: at };
  }

  forget(): void {
    this.half = null;
    this.guessed = null;
  }
}

/** Where the camera has a click in the other view; null on sky and outside the photo. */
function twinOf(camera: Camera, side: Side, at: Spot): Spot | null {
  if (side === "photo") return pixelToLonLat(camera, ...at);
  const pixel = lonLatToPixel(camera, ...at);
  if (pixel === null) return null;
  const inside = pixel[0] >= 0 && pixel[1] >= 0 && pixel[0] < camera.width_px && pixel[1] < camera.height_px;
  return inside ? pixel : null;
}
