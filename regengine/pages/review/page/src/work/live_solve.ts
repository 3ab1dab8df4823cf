// The camera solved from the points that a person holds, as often as they move: one question at a
// time, and always the last one asked.

import { grabbed } from "../geometry/aim";
import type { Camera, Draft, Point, PointResidual, SolveAnswer, SolveRequest } from "../types";
import { isHeld } from "./draft";

export interface Solution {
  camera: Camera;
  /** null where one point only turned the camera, which needs no server. */
  answer: SolveAnswer | null;
  /** By the point's number in the draft. */
  residuals: Map<number, PointResidual>;
  attitudeOnly: Map<number, PointResidual>;
}

/** The points that the camera is solved from, by their numbers: those that a person stands behind. What
 *  only follows the camera tells nothing about it. */
export function inputs({ points }: Draft): Map<number, Point> {
  return new Map([...points.entries()].filter(([, point]) => isHeld(point)));
}

export class LiveSolve {
  private next: { frame: number; indices: number[]; request: SolveRequest } | null = null;
  private asking: AbortController | null = null;
  /** Resolves when the last question is answered. */
  idle: Promise<void> = Promise.resolve();

  constructor(
    private readonly ask: (frame: number, request: SolveRequest, signal: AbortSignal) => Promise<SolveAnswer>,
    /** `last`: nothing moved since it was asked. */
    private readonly found: (solution: Solution, last: boolean) => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** Solve for these points from this camera; answers come through `found`. `placed`: whether it is
   *  known where the station was. */
  solve(frame: number, from: Map<number, Point>, start: Camera, placed: boolean): void {
    const [indices, points] = [[...from.keys()], [...from.values()]];
    const [only] = points;
    // An answer about those that were there before is none about fewer
    if (points.length < 2) this.stop();
    if (only === undefined) return;
    // One point only turns a camera whose position is known
    if (points.length === 1 && placed) {
      const camera = grabbed(start, [only.x, only.y], [only.lon, only.lat]);
      if (camera === null) this.failed(new Error("That place is beyond the horizon of the camera."));
      else this.found({ camera, answer: null, residuals: new Map(), attitudeOnly: new Map() }, true);
      return;
    }
    this.next = { frame, indices, request: { points, start, placed } };
    if (this.asking === null) this.idle = this.work();
  }

  /** Forget what was asked: another frame, or another camera, is in view. */
  stop(): void {
    this.next = null;
    this.asking?.abort();
    this.asking = null;
  }

  private async work(): Promise<void> {
    while (this.next !== null) {
      const { frame, indices, request } = this.next;
      this.next = null;
      const asking = new AbortController();
      this.asking = asking;
      try {
        const answer = await this.ask(frame, request, asking.signal);
        if (asking.signal.aborted) return;
        const numbered = (rows: PointResidual[] = []) => new Map(rows.map((row, i) => [indices[i]!, row]));
        const [residuals, attitudeOnly] = [numbered(answer.points), numbered(answer.attitude_only?.points)];
        this.found({ camera: answer.camera, answer, residuals, attitudeOnly }, this.next === null);
      } catch (error) {
        if (asking.signal.aborted) return;
        if (this.next === null) this.failed(error);
      }
    }
    this.asking = null;
  }
}
