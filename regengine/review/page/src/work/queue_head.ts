// Above the list of frames: how far the work has come, and what can be accepted at once.

import type { Progress } from "../types";
import { ask } from "./dialogs";
import { element, refill } from "./dom";
import { count } from "./text";

export interface QueueHeadNeeds {
  progress: () => Promise<Progress>;
  acceptAll: (count: number) => Promise<void>;
  readonly: boolean;
  failed: (error: unknown) => void;
}

export class QueueHead {
  private readonly element = element("div", { id: "progress-of-queue" });
  private asked = 0;

  constructor(
    host: HTMLElement,
    private readonly needs: QueueHeadNeeds,
  ) {
    host.append(this.element);
  }

  /** Decisions have reached the server, or another filter was chosen. */
  async refresh(): Promise<void> {
    const mine = ++this.asked;
    try {
      const progress = await this.needs.progress();
      if (mine === this.asked) this.draw(progress);
    } catch (error) {
      this.needs.failed(error);
    }
  }

  private draw(progress: Progress): void {
    const { all, decided, acceptable } = progress;
    const text = `${decided.toLocaleString("en")} of ${count(all, "frame")} decided`;
    refill(
      this.element,
      all > 0 && element("progress", { max: all, value: decided, attributes: { "aria-label": text } }),
      all > 0 && element("span", {}, text),
      acceptable > 1 &&
        !this.needs.readonly &&
        element(
          "button",
          { id: "accept-all", type: "button", className: "quiet", onclick: () => this.accept(acceptable) },
          `Accept all ${acceptable.toLocaleString("en")} …`,
        ),
    );
  }

  private accept(acceptable: number): void {
    ask({
      title: `Accept ${count(acceptable, "frame")}?`,
      text:
        `These are the frames that pass the filters, have a proposal, and that nobody has decided or begun to work on. ` +
        `They are accepted as proposed, without a look, and get the tag “accepted unseen”, by which they are found again.`,
      yes: `Accept ${count(acceptable, "frame")}`,
      run: () => void this.needs.acceptAll(acceptable).catch(this.needs.failed),
    });
  }
}
