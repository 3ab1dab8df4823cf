// Coordinates as people write them: "35.68, 139.77", "35.68 N 139.77 E", "35°41′N, 139°46′12″E".

import type { LonLat } from "../types";
import { wrapped } from "../geometry/earth";

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
