// What must reach the server: kept in the browser until it has, a key an item for all tabs of the
// store, sent in order, tried again. What is sent twice does no harm: the server keeps the same
// decision once, and of a tab's drafts the last.

import type { Draft, Saved, Seen } from "../types";
import { ApiError, api, type DecisionBody } from "./api";
import { workOf } from "./draft";
import { link } from "./link";
import { complain, say, sentenceOf, type NoticeAction, wait } from "./notices";
import { CHOICE_WORDS } from "./text";

type Item =
  /** Unfinished work; null where there is none any more. */
  | { kind: "draft"; frame: number; draft: Draft | null }
  | { kind: "decision"; frame: number; body: DecisionBody };

export type Sending = "saved" | "saving" | "waiting";

export interface OutboxNeeds {
  store: string;
  sending: (sending: Sending, why?: unknown) => void;
  /** What was known of a frame is old. */
  outdated: (frame: number) => void;
  /** A decision was refused: it does not count. */
  refused: (frame: number) => void;
  nameOf: (frame: number) => string;
  open: (frame: number) => Promise<void>;
}

/** Doubled from the first to the last while the server does not answer. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;

/** The same after a reload; a copy of a tab is another one. */
function tabName(): string {
  const [began] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  const before = began?.type === "reload" ? window.sessionStorage.getItem("tab") : null;
  const name = before ?? Math.random().toString(36).slice(2);
  window.sessionStorage.setItem("tab", name);
  return name;
}

export class Outbox {
  private readonly shelf = window.localStorage;
  private readonly prefix: string;
  private working = false;
  private last = 0;
  /** Heads of this reviewer that were saved since their frames were fetched. */
  private readonly heads = new Map<number, number>();
  /** The drafts that this page has loaded: their versions, by frame. */
  readonly loaded = new Map<number, string | null>();
  private readonly tab = tabName();

  constructor(private readonly needs: OutboxNeeds) {
    this.prefix = `regengine-review.outbox.${needs.store}.`;
  }

  get empty(): boolean {
    return this.keys().length === 0;
  }

  /** Send what is there, of this page or of one that is gone. */
  begin(): void {
    if (!this.empty) void this.work();
  }

  /** The work on a frame that the server may not have yet; undefined where it has all. */
  unsentOf(frame: number): Draft | null | undefined {
    const found = this.keys().map((key) => this.read(key)).findLast((each) => each?.frame === frame);
    return found?.kind === "decision" ? workOf(found.body) : found?.draft;
  }

  /** Later work on a frame replaces its draft of this tab that has not been sent yet. */
  put(item: Item): void {
    for (const key of this.keys()) {
      const each = this.read(key);
      if (each?.kind === "draft" && each.frame === item.frame && each.seen.tab === this.tab) this.shelf.removeItem(key);
    }
    this.last = Math.max(Date.now(), this.last + 1);
    const seen: Seen = { tab: this.tab, draft: this.loaded.get(item.frame) ?? null };
    this.shelf.setItem(`${this.prefix}${this.last}`, JSON.stringify({ ...item, seen }));
    this.needs.outdated(item.frame);
    void this.work();
  }

  private keys(): string[] {
    return Object.keys(this.shelf).filter((key) => key.startsWith(this.prefix)).sort();
  }

  private read(key: string): (Item & { seen: Seen }) | null {
    try {
      return JSON.parse(this.shelf.getItem(key) ?? "null") as (Item & { seen: Seen }) | null;
    } catch {
      return null;
    }
  }

  private async work(): Promise<void> {
    if (this.working) return;
    this.working = true;
    let wait_ms = FIRST_WAIT_MS;
    for (let [key] = this.keys(); key !== undefined; [key] = this.keys()) {
      const item = this.read(key);
      this.needs.sending("saving");
      try {
        if (item !== null) await this.send(item);
        wait_ms = FIRST_WAIT_MS;
      } catch (error) {
        if (error instanceof ApiError && error.passing) {
          this.needs.sending("waiting", error);
          await link.wait(wait_ms);
          wait_ms = Math.min(2 * wait_ms, LONGEST_WAIT_MS);
          continue;
        }
        const what = item?.kind === "draft" ? "unfinished work" : "decision";
        complain(`Your ${what} was not saved. ${sentenceOf(error)}`, this.link(item?.frame ?? 0));
        if (item?.kind === "decision") this.needs.refused(item.frame);
      }
      this.shelf.removeItem(key);
      // What was asked for while this was under way came without it
      if (item !== null) this.needs.outdated(item.frame);
    }
    this.working = false;
    this.needs.sending("saved");
  }

  private async send(item: Item & { seen: Seen }): Promise<void> {
    const { seen } = item;
    if (item.kind === "draft") {
      await (item.draft === null ? api.dropDraft(item.frame, seen) : api.saveDraft(item.frame, { ...item.draft, ...seen }));
      return;
    }
    const base = Math.max(item.body.base, this.heads.get(item.frame) ?? 0);
    const saved = await api.decide(item.frame, { ...item.body, ...seen, base });
    this.heads.set(item.frame, saved.revision);
    this.tell(item.frame, item.body.decision, saved);
  }

  private tell(frame: number, decision: DecisionBody["decision"], { conflict, draft_kept, others }: Saved): void {
    const chosen = CHOICE_WORDS[decision];
    const against = others.find((each) => each.decision !== decision);
    if (conflict !== null) {
      const theirs = CHOICE_WORDS[conflict.decision];
      complain(
        `You also decided this frame in another tab (${theirs}). Both are kept; the later one, ${chosen}, counts.`,
        this.link(frame),
      );
    } else if (draft_kept) {
      complain(`${this.needs.nameOf(frame)}: ${chosen}. Saved. Unfinished work on it from another tab is kept.`, this.link(frame));
    } else if (against !== undefined) {
      const theirs = CHOICE_WORDS[against.decision];
      say(`Saved. ${against.reviewer} decided differently (${theirs}): the frame is disputed.`, this.link(frame));
    } else {
      say(`${this.needs.nameOf(frame)}: ${chosen}. Saved.`, this.link(frame, "Reopen"));
    }
  }

  private link(frame: number, label = "Open it"): NoticeAction {
    return { label, run: () => wait(this.needs.open(frame)) };
  }
}
