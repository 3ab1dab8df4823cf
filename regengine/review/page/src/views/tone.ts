// How bright a picture is shown: the stretch that a night photo needs, then what a person adjusts.

import type { Adjust } from "../view_types";

/** Black and white point, 0 to 1, and the exponent that lifts what is dark. */
export interface Stretch {
  black: number;
  white: number;
  exponent: number;
}

export const PLAIN: Stretch = { black: 0, white: 1, exponent: 1 };
/** The map is on a fixed scale; its villages are lifted, too. */
export const MAP_STRETCH: Stretch = { black: 0, white: 1, exponent: 0.75 };

// The same as the engine's overlays have, so that a photo looks the same in both.
const PERCENTILES = [0.01, 0.997] as const;
const LEAST_RANGE = 16 / 255; // less is noise
const EXPONENT = 0.7;
const STEPS = 256;

/** The stretch of a photo by the brightest channel of its pixels; RGBA, one byte each. */
export function photoStretch(rgba: Uint8ClampedArray): Stretch {
  const counts = new Array<number>(256).fill(0);
  for (let i = 0; i < rgba.length; i += 4) {
    counts[Math.max(rgba[i]!, rgba[i + 1]!, rgba[i + 2]!)]! += 1;
  }
  const [black, white] = PERCENTILES.map((share) => percentile(counts, share) / 255) as [number, number];
  return { black, white: Math.min(1, Math.max(white, black + LEAST_RANGE)), exponent: EXPONENT };
}

function percentile(counts: number[], share: number): number {
  const all = counts.reduce((sum, count) => sum + count, 0);
  let below = 0;
  return counts.findIndex((count) => (below += count) >= share * all);
}

/** What each brightness becomes, at equal steps from 0 to 1; null where all stays as it is. */
export function toneTable(stretch: Stretch, { brightness, contrast, gamma }: Adjust): number[] | null {
  const { black, white, exponent } = stretch;
  const numbers = [black, white, exponent, brightness, contrast, gamma];
  if (numbers.every((value, i) => value === [0, 1, 1, 1, 1, 1][i])) return null;
  return Array.from({ length: STEPS }, (_, step) => {
    const level = limited((step / (STEPS - 1) - black) / (white - black));
    const lifted = level ** (exponent / gamma) * brightness;
    return limited((lifted - 0.5) * contrast + 0.5);
  });
}

function limited(value: number): number {
  return Math.min(1, Math.max(0, value));
}
