// Decisions and drafts on their way to the server, and what is told when they have arrived.

import type { Draft, Saved } from "../types";
import { ApiError, api, type DecisionBody } from "./api";
import { link } from "./link";
import { complain, say, sentenceOf, type NoticeAction } from "./notices";
import { Outbox, type Item, type Sending } from "./outbox";
import { CHOICE_WORDS } from "./text";

export interface KeeperNeeds {
  /** Where the browser keeps what has not been sent. */
  box: string;
  sending: (sending: Sending, why?: unknown) => void;
  /** What was known of a frame is old. */
  outdated: (frame: number) => void;
  nameOf: (frame: number) => string;
  open: (frame: number) => Promise<void>;
}

export class Keeper {
  private readonly outbox: Outbox<Saved | undefined>;
  /** Heads of this reviewer that were saved since their frames were fetched. */
  private readonly heads = new Map<number, number>();

  constructor(private readonly needs: KeeperNeeds) {
    this.outbox = new Outbox<Saved | undefined>({
      send: (item) => this.send(item),
      sent: (item, answer) => this.sent(item, answer),
      refused: (item, error) => {
        const what = item.kind === "draft" ? "drafted" : "decided";
        complain(`What was ${what} was not kept. ${sentenceOf(error)}`, this.link(item.frame));
      },
      passing: (error) => error instanceof ApiError && error.passing,
      changed: needs.sending,
      wait: (ms) => link.wait(ms),
      shelf: window.localStorage,
      key: needs.box,
    });
  }

  get empty(): boolean {
    return this.outbox.empty;
  }

  begin(): void {
    this.outbox.begin();
  }

  /** The work on a frame that the server may not have yet; undefined where it has all. */
  unsentOf(frame: number): Draft | null | undefined {
    return this.outbox.draftOf(frame);
  }

  draft(frame: number, draft: Draft | null): void {
    this.put({ kind: "draft", frame, draft });
  }

  decision(frame: number, body: DecisionBody): void {
    this.put({ kind: "decision", frame, body });
  }

  /** What a tab that is gone had not sent. Gives the frames that it is about. */
  adopt(text: string): number[] {
    const frames = this.outbox.adopt(text);
    for (const each of frames) this.needs.outdated(each);
    return frames;
  }

  private put(item: Item): void {
    this.needs.outdated(item.frame);
    this.outbox.put(item);
  }

  private async send(item: Item): Promise<Saved | undefined> {
    if (item.kind === "draft") {
      await (item.draft === null ? api.dropDraft(item.frame) : api.saveDraft(item.frame, item.draft));
      return undefined;
    }
    const base = Math.max(item.body.base, this.heads.get(item.frame) ?? 0);
    return api.decide(item.frame, { ...item.body, base });
  }

  private sent(item: Item, saved: Saved | undefined): void {
    // What was asked for while this was under way came without it
    this.needs.outdated(item.frame);
    if (item.kind === "draft" || saved === undefined) return;
    this.heads.set(item.frame, saved.revision);
    const chosen = CHOICE_WORDS[item.body.decision];
    const against = saved.others.find((each) => each.decision !== item.body.decision);
    if (saved.conflict !== null) {
      const theirs = CHOICE_WORDS[saved.conflict.decision];
      complain(
        `You had decided this frame in another tab, too (${theirs}). Both are kept; the later one, ${chosen}, counts.`,
        this.link(item.frame),
      );
    } else if (against !== undefined) {
      const theirs = CHOICE_WORDS[against.decision];
      say(`Saved. ${against.reviewer} decided otherwise: ${theirs}. The frame is disputed.`, this.link(item.frame));
    } else {
      say(`${this.needs.nameOf(item.frame)}: ${chosen}. Saved.`, this.link(item.frame, "Back to it"));
    }
  }

  private link(frame: number, label = "Look at it"): NoticeAction {
    return {
      label,
      run: () => void this.needs.open(frame).catch((error: unknown) => complain(sentenceOf(error))),
    };
  }
}
