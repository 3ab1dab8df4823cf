// How values read on the page.

import type { Choice, LonLat, Verdict } from "../types";

export const VERDICT_WORDS: Record<Verdict, string> = {
  accepted: "accepted",
  review: "review",
  no_match: "no match",
  failed: "failed",
};

export const CHOICE_WORDS: Record<Choice, string> = {
  accepted: "accepted",
  rejected: "rejected",
  unsure: "unsure",
};

/** What a photo shows, by the engine's classes. */
export const CATEGORY_WORDS: Record<string, string> = {
  cities: "cities by night",
  night_nocity: "night without cities",
  sunset_sunrise: "sunset or sunrise",
  day: "by day",
  inside: "inside the station",
};

/** Of what was accepted for points that tell nothing beyond their camera. */
export const NOT_INDEPENDENT = "not independent";

export const MISSING = "–";

/** A probability that never reads as certain. */
export function probability(value: number | null): string {
  if (value === null) return MISSING;
  if (value > 0.995) return "> 99 %";
  if (value < 0.005) return "< 1 %";
  return `${Math.round(100 * value)} %`;
}

/** What may lack a capital and a full stop, as a sentence of its own. */
export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/** What there is, with commas. */
export function joined(...parts: (string | null | false | undefined)[]): string {
  return parts.filter((part) => part).join(", ");
}

export function utc(time: string | null): string {
  if (time === null) return MISSING;
  return `${time.slice(0, 10)} ${time.slice(11, 19)} UTC`;
}

/** Never 0.0: nothing is as exact. */
export function pixels(value: number | null): string {
  if (value === null) return MISSING;
  return Math.abs(value) < LEAST_SHOWN_PX ? "< 0.1 px" : `${value.toFixed(1)} px`;
}

/** Less would round to 0.0. */
export const LEAST_SHOWN_PX = 0.05;

export function metres(value: number | null): string {
  if (value === null) return MISSING;
  return Math.abs(value) < 10_000 ? `${Math.round(value)} m` : `${(value / 1000).toFixed(1)} km`;
}

export function lonLat([lon, lat]: LonLat): string {
  const north = `${Math.abs(lat).toFixed(3)}° ${lat < 0 ? "S" : "N"}`;
  return `${north}, ${Math.abs(lon).toFixed(3)}° ${lon < 0 ? "W" : "E"}`;
}

export function count(value: number, one: string, many = `${one}s`): string {
  return `${value.toLocaleString("en")} ${value === 1 ? one : many}`;
}

/** A code of the engine as words: low_margin → low margin. */
export function words(code: string): string {
  return code.replaceAll("_", " ");
}
