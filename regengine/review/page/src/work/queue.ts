// The queue that is worked off: its filter, its rows, and where one stands in it.

import type { Progress, QueueFilter, QueueRow } from "../types";
import { api } from "./api";
import { QueueRows } from "./queue_rows";
import { nextIndex } from "./queue_walk";
import { delay } from "./watch";

const NAMING_TRIES = 20;
const NAMING_MS = 1500;

export class Queue {
  rows: QueueRows;
  /** The row in view; null where the frame in view is none of the queue's. */
  index: number | null = null;

  /** Those of another filter that are on their way; the list in view stands until they have come. */
  private coming: QueueRows | null = null;

  constructor(public filter: QueueFilter) {
    this.rows = this.made(filter);
  }

  /** Whether decided frames leave the list. */
  get leaves(): boolean {
    return leaves(this.filter);
  }

  /** Whether the list is one to work off; the other ones are lists of what was decided. */
  get toDo(): boolean {
    return this.leaves || this.filter.status === "all";
  }

  /** How far the work on what the filter asks for has come. */
  async progress(): Promise<Progress> {
    return (await api.frames(this.filter, 0, 0)).progress;
  }

  get row(): QueueRow | undefined {
    return this.index === null ? undefined : this.rows.row(this.index);
  }

  /** Other frames. Gives whether this is still the filter that is wanted when they have come. */
  async setFilter(filter: QueueFilter, inView: () => number | null): Promise<boolean> {
    const rows = this.made(filter);
    this.coming = rows;
    await rows.ensure(0, 1);
    if (this.coming !== rows) return false;
    this.coming = null;
    this.filter = filter;
    this.rows = rows;
    const frame = inView();
    this.index = frame === null ? null : (rows.indexOf(frame) ?? null);
    return true;
  }

  /** A frame was decided: lists on their way know it, too. */
  decided(frame: number, change: Partial<QueueRow>): void {
    this.rows.decided(frame, change);
    this.coming?.decided(frame, change);
  }

  next(from: number | null = this.index): Promise<number | null> {
    return nextIndex(this.rows, from, !this.leaves);
  }

  previous(): number | null {
    return this.index === null || this.index === 0 ? null : this.index - 1;
  }

  async frameAt(index: number): Promise<number | undefined> {
    await this.rows.ensure(index, index + 1);
    return this.rows.row(index)?.id;
  }

  nameOf(frame: number): string {
    return this.rows.row(this.rows.indexOf(frame) ?? -1)?.frame ?? "Frame";
  }

  /** Wait for the names of towns that the server did not know yet when the rows were asked for. */
  async name(changed: () => void): Promise<void> {
    for (let i = 0; i < NAMING_TRIES && this.rows.nameless; i += 1) {
      await delay(NAMING_MS);
      await this.rows.name();
      changed();
    }
  }

  private made(filter: QueueFilter): QueueRows {
    return new QueueRows((offset, limit) => api.frames(filter, offset, limit), leaves(filter));
  }
}

function leaves(filter: QueueFilter): boolean {
  return filter.status === "open" || filter.status === "second" || filter.status === undefined;
}
