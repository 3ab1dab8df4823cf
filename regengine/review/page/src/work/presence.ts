// Who else has the frame in view before them, and what they decide of it meanwhile.

import type { Shown } from "../types";
import { api } from "./api";

/** The server takes a page for gone that has been silent for three times as long. */
const EVERY_MS = 10_000;

export class Presence {
  private readonly page = Array.from(crypto.getRandomValues(new Uint32Array(3)), (each) =>
    each.toString(36).padStart(7, "0"),
  ).join("");
  private frame: number | null = null;
  private timer = 0;

  constructor(private readonly told: (frame: number, shown: Shown) => void) {}

  /** This frame is in view, or none. */
  show(frame: number | null): void {
    this.frame = frame;
    void this.tell();
  }

  private async tell(): Promise<void> {
    window.clearTimeout(this.timer);
    const { frame } = this;
    if (frame === null) return;
    try {
      // A page that nobody looks at has nobody before it
      const shown = document.hidden ? null : await api.shown(frame, this.page);
      if (this.frame === frame && shown !== null) this.told(frame, shown);
    } catch {
      // asked again
    }
    if (this.frame === frame) {
      window.clearTimeout(this.timer);
      this.timer = window.setTimeout(() => void this.tell(), EVERY_MS);
    }
  }
}

/** "Bob and Eve have this frame open, too." */
export function othersLine(others: string[], reviewer: string): string {
  const names = [...new Set(others.map((each) => (each === reviewer ? "you, in another tab," : each)))];
  if (names.length === 0) return "";
  const [last, ...before] = names.reverse();
  const who = before.length === 0 ? String(last) : `${before.reverse().join(", ")} and ${last}`;
  const verb = names.length === 1 && last !== "you, in another tab," ? "has" : "have";
  return `${who[0]?.toUpperCase() ?? ""}${who.slice(1)} ${verb} this frame open, too.`;
}
