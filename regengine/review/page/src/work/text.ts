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

export const MISSING = "–";

/** A probability that never reads as certain. */
export function probability(value: number | null): string {
  if (value === null) return MISSING;
  if (value > 0.995) return "> 99 %";
  if (value < 0.005) return "< 1 %";
  return `${Math.round(100 * value)} %`;
}

/** A power of ten as it is read: 4.3 → 2 × 10⁴, 0.3 → 2. */
export function power(log10: number): string {
  if (log10 < 3) return (10 ** log10).toPrecision(log10 < 0 ? 1 : 2).replace(/\.0$/, "");
  const digits = String(Math.floor(log10)).replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)] ?? "");
  return `10${digits}`;
}

/** What there is, with commas. */
export function joined(...parts: (string | null | false | undefined)[]): string {
  return parts.filter((part) => part).join(", ");
}

/** What speaks for a proposal, and how precise it is. */
export function evidenceOf(odds: number | null, lead: number | null, sigma_m: number | null): string {
  return joined(
    odds !== null && `${power(odds)} : 1 against chance`,
    lead !== null && `${power(lead)} : 1 over the runner-up`,
    sigma_m !== null && `± ${metres(sigma_m)} at its least precise point`,
  );
}

export function utc(time: string | null): string {
  if (time === null) return MISSING;
  return `${time.slice(0, 10)} ${time.slice(11, 19)} UTC`;
}

export function pixels(value: number | null): string {
  return value === null ? MISSING : `${value.toFixed(1)} px`;
}

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
