// How bright a picture is shown: the stretch that a night photo needs, then what a person adjusts.

import { clamp } from "ol/math";
import type { Adjust, Side } from "../types";

/** Black and white point, 0 to 1, and the exponent that lifts what is dark. */
export interface Stretch {
  black: number;
  white: number;
  exponent: number;
}

export const NEUTRAL: Adjust = { opacity: 1, brightness: 1, contrast: 1, gamma: 1 };
export const PLAIN: Stretch = { black: 0, white: 1, exponent: 1 };
/** The map is on a fixed scale; its villages are lifted, too. */
export const MAP_STRETCH: Stretch = { black: 0, white: 1, exponent: 0.75 };

type Colour = readonly [number, number, number];
/** How photo and map are told apart: by their own colours, or, to compare them, by what only one of
 *  them has: the photo red, the map cyan, what both have white. */
export type Tint = "own" | "apart";

// The map's lights are blue, so that one sees whether the photo's, white and yellow, lie on them;
// from the outskirts of a city to its core they go on to change, so that its streets show.
const MAP_RAMP: readonly [number, Colour][] = [
  [0, [0, 0, 0]],
  [0.15, [0.02, 0.09, 0.24]],
  [0.45, [0.1, 0.34, 0.78]],
  [0.68, [0.24, 0.6, 1]],
  [0.85, [0.58, 0.85, 1]],
  [1, [0.93, 1, 1]],
];
const APART: Record<Side, Colour> = { photo: [1, 0.3, 0.1], map: [0, 0.7, 0.9] };

export function colourOf(side: Side, tint: Tint, level: number): Colour {
  if (tint === "apart") return APART[side].map((each) => each * level) as unknown as Colour;
  if (side === "photo") return [level, level, level];
  const next = Math.max(1, MAP_RAMP.findIndex(([at]) => at >= level));
  const [[from, a], [to, b]] = [MAP_RAMP[next - 1]!, MAP_RAMP[next]!];
  const share = (level - from) / (to - from);
  return a.map((each, i) => each + (b[i]! - each) * share) as unknown as Colour;
}

// The same as the engine's overlays have, so that a photo looks the same in both.
const PERCENTILES = [0.01, 0.997] as const;
const MIN_RANGE = 16 / 255; // less is noise
const EXPONENT = 0.7;
const STEPS = 256;

/** The stretch of a photo by the brightest channel of its pixels; RGBA, one byte each. */
export function photoStretch(rgba: Uint8ClampedArray): Stretch {
  const counts = new Array<number>(256).fill(0);
  for (let i = 0; i < rgba.length; i += 4) {
    counts[Math.max(rgba[i]!, rgba[i + 1]!, rgba[i + 2]!)]! += 1;
  }
  const [black, white] = PERCENTILES.map((share) => {
    let below = 0;
    return counts.findIndex((count) => (below += count) >= (share * rgba.length) / 4) / 255;
  }) as [number, number];
  return { black, white: Math.min(1, Math.max(white, black + MIN_RANGE)), exponent: EXPONENT };
}

/** Whether all stays as it is. */
export function isPlain({ black, white, exponent }: Stretch, { brightness, contrast, gamma }: Adjust): boolean {
  const numbers = [black, white, exponent, brightness, contrast, gamma];
  return numbers.every((value, i) => value === [0, 1, 1, 1, 1, 1][i]);
}

/** What each brightness becomes, at equal steps from 0 to 1. */
export function toneTable(stretch: Stretch, { brightness, contrast, gamma }: Adjust): number[] {
  const { black, white, exponent } = stretch;
  return Array.from({ length: STEPS }, (_, step) => {
    const level = clamp((step / (STEPS - 1) - black) / (white - black), 0, 1);
    const lifted = level ** (exponent / gamma) * brightness;
    return clamp((lifted - 0.5) * contrast + 0.5, 0, 1);
  });
}
