// How far the map's light lies from the photo's at each point: the server compares the two, whatever
// the camera says, when nothing moves any more.

import type { Camera, Point, PointEvidence } from "../types";
import { api } from "./api";
import { sentenceOf } from "./notices";

export type Agreement = "agrees" | "near" | "off" | "unknown";

/** Chance leads farther once in a thousand, by a normal distribution of two dimensions. */
const CHANCE_SIGMAS = Math.sqrt(-2 * Math.log(0.001));
const WAIT_MS = 400;
const MAX_ASKED = 40;

/** What a comparison says of a point: it agrees, lies up to twice as far as chance leads, or farther. */
export function agreement({ off_px, sigma_px }: PointEvidence): Agreement {
  if (off_px === null || sigma_px === null) return "unknown";
  const sigmas = off_px / sigma_px;
  if (sigmas <= CHANCE_SIGMAS) return "agrees";
  return sigmas <= 2 * CHANCE_SIGMAS ? "near" : "off";
}

export class Evidence {
  /** Counts answers: what is drawn of them is drawn anew. */
  version = 0;

  private frame: number | null = null;
  private readonly known = new Map<string, PointEvidence>();
  private timer: number | undefined;
  private asking: AbortController | null = null;

  constructor(private readonly changed: () => void) {}

  /** undefined where it is not known yet. */
  of(point: Point): PointEvidence | undefined {
    return this.known.get(pairOf(point));
  }

  /** These points are in view; null where nothing can be compared. */
  look(frame: number | null, camera: Camera | null, points: Point[]): void {
    if (frame !== this.frame) {
      this.known.clear();
      this.asking?.abort();
      this.asking = null;
    }
    this.frame = frame;
    window.clearTimeout(this.timer);
    if (frame === null || camera === null || this.asking !== null) return;
    const unknown = points.filter((each) => this.of(each) === undefined).slice(0, MAX_ASKED);
    if (unknown.length > 0) this.timer = window.setTimeout(() => void this.compare(frame, camera, unknown), WAIT_MS);
  }

  private async compare(frame: number, camera: Camera, points: Point[]): Promise<void> {
    const asking = new AbortController();
    this.asking = asking;
    let found: PointEvidence[];
    try {
      found = (await api.evidence(frame, camera, points, asking.signal)).points;
    } catch (error) {
      found = points.map(() => ({ ...NOTHING, why: sentenceOf(error) }));
    }
    if (asking.signal.aborted) return;
    this.asking = null;
    points.forEach((point, i) => this.known.set(pairOf(point), found[i] ?? NOTHING));
    this.version += 1;
    this.changed();
  }
}

const NOTHING: PointEvidence = { off_px: null, sigma_px: null, why: null };

/** Points that differ by less than can be seen are the same. */
function pairOf({ x, y, lon, lat }: Point): string {
  return [x.toFixed(2), y.toFixed(2), lon.toFixed(6), lat.toFixed(6)].join(" ");
}
