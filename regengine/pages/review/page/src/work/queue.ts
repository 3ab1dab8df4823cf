// The queue that is worked off: the frames that pass a filter, and where one stands among them. The
// list keeps its order while one works through it; what was decided leaves it, but for the frame in
// view.

import type { QueueRow } from "../types";
import { api } from "./api";

const PAGE_ROWS = 100;

export class Queue {
  /** All frames, in order; of those in sight and before them, what a row says. */
  ids: number[] = [];
  /** The place in the list of the frame in view; null where it is none of the queue's. */
  index: number | null = null;
  private rows = new Map<number, QueueRow>();
  private asked = new Map<number, Promise<void>>();
  /** What was decided since the list was asked for; the server may not have known it. */
  private said = new Map<number, Partial<QueueRow>>();
  private coming = 0;

  constructor(public filter: string) {}

  private get status(): string {
    return new URLSearchParams(this.filter).get("status") ?? "open";
  }

  /** Whether decided frames leave the list. */
  get leaves(): boolean {
    return ["open", "second"].includes(this.status);
  }

  /** Whether the list is one to work off; the other ones are lists of what was decided. */
  get toDo(): boolean {
    return this.leaves || this.status === "all";
  }

  get row(): QueueRow | undefined {
    return this.index === null ? undefined : this.rowAt(this.index);
  }

  rowAt(index: number): QueueRow | undefined {
    const id = this.ids[index];
    return id === undefined ? undefined : this.rows.get(id);
  }

  /** The place in the list of a frame; null where it is none of the queue's. */
  indexOf(id: number | null): number | null {
    const index = id === null ? -1 : this.ids.indexOf(id);
    return index < 0 ? null : index;
  }

  shown(): number[] {
    const places = this.ids.map((_, index) => index);
    if (!this.leaves || this.said.size === 0) return places;
    return places.filter((index) => index === this.index || !this.said.has(this.ids[index]!));
  }

  /** Other frames: the list in view stands until they have come. Gives whether this is still the
   *  filter that is wanted then. */
  async setFilter(filter: string, inView: () => number | null): Promise<boolean> {
    const mine = ++this.coming;
    const before = new Set(this.said.keys());
    const { ids, frames } = await api.queue(filter, PAGE_ROWS);
    if (mine !== this.coming) return false;
    this.filter = filter;
    this.ids = ids;
    this.rows = new Map();
    this.asked = new Map([[0, Promise.resolve()]]);
    for (const id of before) this.said.delete(id);
    this.take(frames);
    this.index = this.indexOf(inView());
    return true;
  }

  /** Fetch what is missing of the rows in [from, to). */
  async ensure(from: number, to: number): Promise<void> {
    const wanted: Promise<void>[] = [];
    for (let page = Math.floor(Math.max(from, 0) / PAGE_ROWS); page * PAGE_ROWS < Math.min(to, this.ids.length); page += 1) {
      const asked = this.asked.get(page) ?? api.rows(this.ids.slice(page * PAGE_ROWS, (page + 1) * PAGE_ROWS)).then((told) => this.take(told.frames));
      asked.catch(() => this.asked.delete(page));
      this.asked.set(page, asked);
      wanted.push(asked);
    }
    await Promise.all(wanted);
  }

  decided(id: number, change: Partial<QueueRow>): void {
    this.said.set(id, change);
    const row = this.rows.get(id);
    if (row) this.rows.set(id, { ...row, ...change });
  }

  /** The server refused a decision: the frame's row says what it said before. */
  undecided(id: number): void {
    this.said.delete(id);
    const index = this.indexOf(id);
    if (index !== null) this.asked.delete(Math.floor(index / PAGE_ROWS));
    this.rows.delete(id);
  }

  /** The row after one that is still to be done; those that were skipped come again at the end. */
  async next(from: number | null = this.index): Promise<number | null> {
    const start = from === null ? 0 : from + 1;
    for (let index = start; index < this.ids.length; index += 1) {
      await this.ensure(index, index + 1);
      if (!this.leaves || this.rowAt(index)?.decision === null) return index;
    }
    for (let index = 0; index < Math.min(start, this.ids.length); index += 1) {
      if (index !== from && this.rowAt(index)?.decision === null) return index;
    }
    return null;
  }

  nameOf(frame: number): string {
    return this.rows.get(frame)?.frame ?? "Frame";
  }

  private take(frames: QueueRow[]): void {
    for (const row of frames) this.rows.set(row.id, { ...row, ...this.said.get(row.id) });
  }
}
