// Frames that are in view next, asked for ahead of time.

import type { Frame } from "../types";

const MOST_FRAMES = 12;

export class FrameCache {
  private readonly kept = new Map<number, Promise<Frame>>();

  constructor(private readonly fetchFrame: (id: number) => Promise<Frame>) {}

  get(id: number): Promise<Frame> {
    const known = this.kept.get(id);
    if (known !== undefined) return known;
    const fetching = this.fetchFrame(id);
    fetching.catch(() => this.kept.delete(id));
    this.kept.set(id, fetching);
    const [oldest] = this.kept.keys();
    if (this.kept.size > MOST_FRAMES && oldest !== undefined) this.kept.delete(oldest);
    return fetching;
  }

  /** What is known of a frame is old: something was decided, or drafted. */
  forget(id: number): void {
    this.kept.delete(id);
  }
}
