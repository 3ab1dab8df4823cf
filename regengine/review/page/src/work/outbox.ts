// What must reach the server: kept in the browser until it has, sent in order, tried again.

import type { Draft } from "../types";
import { workOf } from "./draft";
import type { DecisionBody } from "./api";

export type Item =
  /** Unfinished work; null where there is none any more. */
  | { kind: "draft"; frame: number; draft: Draft | null }
  | { kind: "decision"; frame: number; body: DecisionBody };

export type Sending = "saved" | "saving" | "waiting";

/** The part of the browser's localStorage that is used. */
export interface Shelf {
  getItem(key: string): string | null;
  setItem(key: string, text: string): void;
  removeItem(key: string): void;
}

export interface OutboxNeeds<Answer> {
  send: (item: Item) => Promise<Answer>;
  sent: (item: Item, answer: Answer) => void;
  /** The server refused it for good. */
  refused: (item: Item, error: unknown) => void;
  /** Whether the same may succeed later. */
  passing: (error: unknown) => boolean;
  /** `why` it has to wait. */
  changed: (sending: Sending, why?: unknown) => void;
  wait: (ms: number) => Promise<void>;
  shelf: Shelf;
  key: string;
}

/** Doubled from the first to the last while the server does not answer. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;

export class Outbox<Answer> {
  private items: Item[];
  private working = false;

  constructor(private readonly needs: OutboxNeeds<Answer>) {
    this.items = restored(needs.shelf.getItem(needs.key));
  }

  /** Send what an earlier page left. */
  begin(): void {
    if (this.items.length > 0) void this.work();
  }

  /** Send, too, what a tab that is gone had not sent. Gives the frames that it is about. */
  adopt(text: string): number[] {
    // Later work of this tab on the same frame stands
    const found = restored(text).filter(
      (item) => item.kind === "decision" || !this.items.some((each) => each.frame === item.frame),
    );
    this.items = [...this.items, ...found];
    this.keep();
    this.begin();
    return found.map((item) => item.frame);
  }

  get empty(): boolean {
    return this.items.length === 0;
  }

  /** The work on a frame that the server may not have yet; undefined where it has all. */
  draftOf(frame: number): Draft | null | undefined {
    const found = this.items.findLast((each) => each.frame === frame);
    if (found?.kind !== "decision") return found?.draft;
    return workOf(found.body);
  }

  /** Later work on a frame replaces its draft that has not been sent yet. */
  put(item: Item): void {
    const first = this.working ? this.items.slice(0, 1) : [];
    const rest = this.items.slice(first.length);
    this.items = [
      ...first,
      ...rest.filter((each) => !(each.kind === "draft" && each.frame === item.frame)),
      item,
    ];
    this.keep();
    void this.work();
  }

  private async work(): Promise<void> {
    if (this.working) return;
    this.working = true;
    this.needs.changed("saving");
    let wait = FIRST_WAIT_MS;
    for (let item = this.items[0]; item !== undefined; item = this.items[0]) {
      try {
        const answer = await this.needs.send(item);
        this.done();
        this.needs.sent(item, answer);
        wait = FIRST_WAIT_MS;
        this.needs.changed("saving");
      } catch (error) {
        if (this.needs.passing(error)) {
          this.needs.changed("waiting", error);
          await this.needs.wait(wait);
          wait = Math.min(2 * wait, LONGEST_WAIT_MS);
        } else {
          this.done();
          this.needs.refused(item, error);
        }
      }
    }
    this.working = false;
    this.needs.changed("saved");
  }

  private done(): void {
    this.items = this.items.slice(1);
    this.keep();
  }

  private keep(): void {
    const { shelf, key } = this.needs;
    if (this.items.length === 0) shelf.removeItem(key);
    else shelf.setItem(key, JSON.stringify(this.items));
  }
}

function restored(text: string | null): Item[] {
  if (text === null) return [];
  try {
    return JSON.parse(text) as Item[];
  } catch {
    return [];
  }
}
