// Above the list of frames: how far the work has come.

import type { Progress } from "../types";
import { element, refill } from "./dom";
import { count } from "./text";

export class QueueHead {
  private readonly element = element("div", { id: "progress-of-queue" });
  private asked = 0;

  constructor(
    host: HTMLElement,
    private readonly progress: () => Promise<Progress>,
    private readonly failed: (error: unknown) => void,
  ) {
    host.append(this.element);
  }

  /** Decisions have reached the server, or another filter was chosen. */
  async refresh(): Promise<void> {
    const mine = ++this.asked;
    try {
      const progress = await this.progress();
      if (mine === this.asked) this.draw(progress);
    } catch (error) {
      this.failed(error);
    }
  }

  private draw(progress: Progress): void {
    const { all, decided } = progress;
    const text = `${decided.toLocaleString("en")} of ${count(all, "frame")} decided`;
    refill(
      this.element,
      all > 0 && element("progress", { max: all, value: decided, attributes: { "aria-label": text } }),
      all > 0 && element("span", {}, text),
    );
  }
}
