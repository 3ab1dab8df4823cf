// How values read on the page.

import { wrapped } from "../geometry/earth";
import type { Choice, LonLat, Verdict } from "../types";

export const VERDICT_WORDS: Record<Verdict, string> = {
  accepted: "accepted",
  review: "review",
  no_match: "no match",
  failed: "failed",
};

export const CHOICE_WORDS: Record<Choice, string> = {
  accepted: "accepted",
  glanced: "glanced at",
  rejected: "rejected",
  unsure: "unsure",
};

export const CATEGORY_WORDS: Record<string, string> = {
  cities: "cities at night",
  night_nocity: "night without cities",
  sunset_sunrise: "sunset or sunrise",
  day: "daytime",
  inside: "inside the station",
  other: "something else",
};

/** Of the engine's reasons those whose code does not say it in words. */
const REASON_WORDS: Record<string, string> = {
  low_margin: "another place also fits",
  narrow: "points close together",
  guessed_lens: "focal length assumed",
  small_frame: "little ground shown",
  no_ephemeris: "position unknown",
  worker_died: "damaged file",
};

export function reasonWords(code: string): string {
  return REASON_WORDS[code] ?? words(code);
}

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
  const size = Math.abs(value);
  return size < MIN_SHOWN_PX ? "< 0.1 px" : `${value.toFixed(size < 9.95 ? 1 : 0)} px`;
}

/** Less would round to 0.0. */
export const MIN_SHOWN_PX = 0.05;

export function metres(value: number | null): string {
  if (value === null) return MISSING;
  return Math.abs(value) < 1000 ? `${Math.round(value)} m` : `${(value / 1000).toFixed(1)} km`;
}

/** A time before or after, "−12 s", "+2 min 30 s". */
export function seconds(value: number): string {
  const size = Math.abs(Math.round(value));
  const sign = size === 0 ? "" : value < 0 ? "−" : "+";
  return size < 60 ? `${sign}${size} s` : `${sign}${Math.floor(size / 60)} min ${size % 60} s`;
}

export function lonLat([lon, lat]: LonLat): string {
  const north = `${Math.abs(lat).toFixed(3)}° ${lat < 0 ? "S" : "N"}`;
  return `${north}, ${Math.abs(lon).toFixed(3)}° ${lon < 0 ? "W" : "E"}`;
}

export function count(value: number, one: string): string {
  return `${value.toLocaleString("en")} ${value === 1 ? one : `${one}s`}`;
}

/** A code of the engine as words: low_margin → low margin. */
export function words(code: string): string {
  return code.replaceAll("_", " ");
}

const NUMBER = String.raw`([+\-−]?\d+(?:\.\d+)?)\s*(?:[°d]\s*(?:(\d+(?:\.\d+)?)\s*['′m]\s*)?(?:(\d+(?:\.\d+)?)\s*(?:"|″|''|s)\s*)?)?`;
const WRITTEN = new RegExp(String.raw`^\s*${NUMBER}([NSEW]?)[\s,;/]+${NUMBER}([NSEW]?)\s*$`, "i");

/** Latitude first, unless letters say otherwise; null where the text is none. */
export function coordinatesIn(text: string): LonLat | null {
  const found = WRITTEN.exec(text);
  if (!found) return null;
  const [first, second] = [found.slice(1, 5), found.slice(5, 9)] as [string[], string[]];
  const letters = [first[3], second[3]].map((each) => (each ?? "").toUpperCase()) as [string, string];
  const eastFirst = /[EW]/.test(letters[0]) || /[NS]/.test(letters[1]);
  if (eastFirst && (/[NS]/.test(letters[0]) || /[EW]/.test(letters[1]))) return null;
  const [lon, lat] = eastFirst ? [degreesOf(first), degreesOf(second)] : [degreesOf(second), degreesOf(first)];
  return Math.abs(lat) <= 90 && Math.abs(lon) <= 360 ? [wrapped(lon), lat] : null;
}

function degreesOf([whole, minutes, seconds, letter]: string[]): number {
  const text = whole!.replace("−", "-");
  const size = Math.abs(Number(text)) + Number(minutes ?? 0) / 60 + Number(seconds ?? 0) / 3600;
  return text.startsWith("-") !== /[SW]/i.test(letter ?? "") ? -size : size;
}
