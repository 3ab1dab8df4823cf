// The rows of the queue by their place in the list, fetched a page at a time as they come into sight.

import type { QueueRow } from "../types";

export interface RowsAnswer {
  total: number;
  frames: QueueRow[];
  /** Whether places have names yet: the server reads them after its start. */
  named: boolean;
}

export const PAGE_ROWS = 100;

/** A list that keeps its order while one works through it: rows that were decided keep their place in
 *  it, though the server no longer counts them among the open ones, and they are no longer shown. */
export class QueueRows {
  private readonly pages = new Map<number, Promise<void>>();
  private readonly rows = new Map<number, QueueRow>();
  private readonly gone = new Set<number>();
  private readonly places = new Map<number, number>();
  private readonly unnamed = new Set<number>();
  /** What was decided since the list was asked for; the server may not have known it. */
  private readonly said = new Map<number, Partial<QueueRow>>();
  private known = 0;

  constructor(
    private readonly fetchRows: (offset: number, limit: number) => Promise<RowsAnswer>,
    /** Whether a decided row leaves the server's list. */
    private readonly decidedLeave: boolean,
  ) {}

  get total(): number {
    return this.known;
  }

  row(index: number): QueueRow | undefined {
    return this.rows.get(index);
  }

  /** Where a frame stands; undefined as long as its page was not fetched. */
  indexOf(id: number): number | undefined {
    return this.places.get(id);
  }

  /** Fetch what is missing of [from, to). */
  async ensure(from: number, to: number): Promise<void> {
    const wanted: Promise<void>[] = [];
    for (let page = Math.floor(Math.max(from, 0) / PAGE_ROWS); page * PAGE_ROWS < to; page += 1) {
      if (page > 0 && page * PAGE_ROWS >= this.known) break;
      wanted.push(this.page(page));
    }
    await Promise.all(wanted);
  }

  /** Rows that have left the list, in order; the one in view stays to be seen. */
  left(inView: number | null): number[] {
    return [...this.gone].filter((index) => index !== inView).sort((a, b) => a - b);
  }

  /** A frame was decided: its row says so, and later pages are asked for as the server counts. */
  decided(id: number, change: Partial<QueueRow>): void {
    this.said.set(id, change);
    const index = this.change(id, change);
    if (index !== undefined && this.decidedLeave) this.gone.add(index);
  }

  get nameless(): boolean {
    return this.unnamed.size > 0;
  }

  /** Ask again for the names of places that were not known yet. */
  async name(): Promise<void> {
    for (const page of [...this.unnamed]) {
      const answer = await this.ask(page);
      for (const { id, place } of answer.frames) this.change(id, { place });
      if (answer.named) this.unnamed.delete(page);
    }
  }

  private change(id: number, change: Partial<QueueRow>): number | undefined {
    const index = this.places.get(id);
    const row = index === undefined ? undefined : this.rows.get(index);
    if (index === undefined || row === undefined) return undefined;
    this.rows.set(index, { ...row, ...change });
    return index;
  }

  private page(page: number): Promise<void> {
    const known = this.pages.get(page);
    if (known !== undefined) return known;
    const fetching = this.fetchPage(page).catch((error: unknown) => {
      this.pages.delete(page);
      throw error;
    });
    this.pages.set(page, fetching);
    return fetching;
  }

  private ask(page: number): Promise<RowsAnswer> {
    const start = page * PAGE_ROWS;
    const before = [...this.gone].filter((index) => index < start).length;
    return this.fetchRows(start - before, PAGE_ROWS);
  }

  private async fetchPage(page: number): Promise<void> {
    const start = page * PAGE_ROWS;
    const answer = await this.ask(page);
    if (!answer.named) this.unnamed.add(page);
    this.known = Math.max(answer.total + this.gone.size, start + answer.frames.length);
    answer.frames.forEach((row, i) => {
      const said = this.said.get(row.id);
      this.rows.set(start + i, { ...row, ...said });
      if (said !== undefined && this.decidedLeave) this.gone.add(start + i);
      if (!this.places.has(row.id)) this.places.set(row.id, start + i);
    });
  }
}
