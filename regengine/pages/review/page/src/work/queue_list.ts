// The queue on the screen: of any number of rows only those in sight are elements.

import type { QueueRow } from "../types";
import { api } from "./api";
import { element, refill } from "./dom";
import { failed } from "./notices";
import type { Queue } from "./queue";
import { CHOICE_WORDS, count, lonLat, NOT_INDEPENDENT, probability, reasonWords, VERDICT_WORDS } from "./text";

/** Rows made above and below what is in sight. */
const SPARE_ROWS = 6;
/** As high as a row of the page's styles. */
const ROW_REM = 4.8;
/** Of the pictures; sharp where a pixel of the page is two of the screen. */
const THUMB_PX = 128;

export class QueueList {
  private readonly list: HTMLElement;
  private readonly sheet = element("div", { className: "sheet" });
  private readonly heading = element("h2", { id: "queue-count" }, "Queue");
  private readonly progress = element("div", { id: "progress-of-queue" });
  private counted = 0;
  private queue: Queue | null = null;
  private ids: number[] = [];
  private active = 0;
  /** Places in the queue of the rows that are shown. */
  private shown: number[] = [];
  private pictures = false;
  private rowPx = 14 * ROW_REM;
  /** Rows on the screen with what they show. */
  private lines = new Map<string, HTMLElement>();

  constructor(host: HTMLElement, private readonly open: (index: number) => void) {
    this.list = element(
      "div",
      {
        id: "rows",
        tabIndex: 0,
        attributes: { role: "listbox", "aria-labelledby": "queue-count" },
        onscroll: () => this.draw(),
        onkeydown: (event) => this.key(event),
      },
      this.sheet,
    );
    host.append(this.progress, this.heading, this.list);
    new ResizeObserver(() => {
      // Rows are as high as the text is large
      this.rowPx = ROW_REM * parseFloat(getComputedStyle(document.documentElement).fontSize);
      this.draw();
    }).observe(this.list);
  }

  show(queue: Queue): void {
    this.queue = queue;
    if (queue.ids !== this.ids) {
      this.ids = queue.ids;
      this.active = 0;
      this.list.scrollTop = 0;
    }
    this.shown = queue.shown();
    if (queue.index !== null) this.reveal(queue.index);
    this.draw();
  }

  /** How far the work has come: decisions have reached the server, or another filter was chosen. */
  async showProgress(): Promise<void> {
    const mine = ++this.counted;
    const counts = this.queue && (await api.queue(this.queue.filter, 0)).progress;
    if (mine !== this.counted || counts === null) return;
    const { all, decided } = counts;
    const text = `${decided.toLocaleString("en")} of ${count(all, "frame")} decided`;
    refill(
      this.progress,
      all > 0 && element("progress", { max: all, value: decided, attributes: { "aria-label": text } }),
      all > 0 && element("span", {}, text),
    );
  }

  draw(): void {
    const { queue } = this;
    if (queue === null) return;
    this.shown = queue.shown();
    const total = this.shown.length;
    refill(this.heading, total === 0 ? "Nothing in the queue" : count(total, "frame"));
    this.sheet.style.height = `${total * this.rowPx}px`;
    const from = Math.max(0, Math.floor(this.list.scrollTop / this.rowPx) - SPARE_ROWS);
    const inSight = Math.ceil(this.list.clientHeight / this.rowPx) + 2 * SPARE_ROWS;
    const to = Math.min(total, from + inSight);
    const shown = new Map<string, HTMLElement>();
    let missing = false;
    for (let rank = from; rank < to; rank += 1) {
      const index = this.shown[rank]!;
      const row = queue.rowAt(index);
      if (row === undefined) {
        missing = true;
        continue;
      }
      const key = JSON.stringify([
        rank, index, row, total, index === queue.index, index === this.active, this.rowPx, this.pictures,
      ]);
      shown.set(key, this.lines.get(key) ?? this.line(row, index, rank, total));
    }
    this.put(shown);
    this.list.setAttribute("aria-activedescendant", queue.rowAt(this.active) ? `row-${this.active}` : "");
    if (missing) queue.ensure(this.shown[from]!, this.shown[to - 1]! + 1).then(() => this.draw(), failed);
  }

  /** Rows that stay as they are stay where they are: one that is being clicked must not be replaced. */
  private put(shown: Map<string, HTMLElement>): void {
    for (const [key, line] of this.lines) if (!shown.has(key)) line.remove();
    this.lines = shown;
    [...shown.values()].forEach((line, i) => {
      const there = this.sheet.children[i] ?? null;
      if (there !== line) this.sheet.insertBefore(line, there);
    });
  }

  /** Pictures of the rows, too: from now on, since the first photo would have to wait for them. */
  showPictures(): void {
    this.pictures = true;
    this.draw();
  }

  private line(row: QueueRow, index: number, rank: number, total: number): HTMLElement {
    const where = row.place ?? (row.centre === null ? "place unknown" : lonLat(row.centre));
    const reasons = row.reasons.slice(0, 2).map(reasonWords).join(", ");
    const why = row.independent ? reasons : NOT_INDEPENDENT;
    const judged = row.decision ?? row.marked;
    const line = element(
      "div",
      {
        id: `row-${index}`,
        className: "row",
        onclick: () => {
          this.active = index;
          this.open(index);
        },
        data: { verdict: row.verdict },
        attributes: {
          role: "option",
          "aria-selected": String(index === this.queue?.index),
          "aria-setsize": String(total),
          "aria-posinset": String(rank + 1),
        },
      },
      this.pictures && picture(row),
      element("span", { className: "name" }, row.frame),
      judged === null
        ? element("span", { className: "badge", data: { verdict: row.verdict } }, VERDICT_WORDS[row.verdict])
        : element("span", { className: "badge", data: { choice: judged }, title: `Engine: ${VERDICT_WORDS[row.verdict]}` }, said(row)),
      element("span", { className: "where" }, why === "" ? where : row.independent ? `${where} · ${why}` : why),
      row.decision === null &&
        element("span", { className: "odds", title: "Probability that the proposal is right" }, probability(row.probability)),
    );
    line.classList.toggle("active", index === this.active);
    line.style.top = `${rank * this.rowPx}px`;
    return line;
  }

  private key(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.list.clientHeight / this.rowPx) - 1);
    const last = this.shown.length - 1;
    const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -last, End: last }[event.key];
    if (step !== undefined && last >= 0) {
      this.active = this.shown[Math.min(last, Math.max(0, this.shown.indexOf(this.active) + step))]!;
      this.reveal(this.active);
      this.draw();
    } else if (event.key === "Enter" || event.key === " ") {
      this.open(this.active);
    } else {
      return;
    }
    event.preventDefault();
  }

  private reveal(index: number): void {
    this.active = index;
    const top = Math.max(0, this.shown.indexOf(index)) * this.rowPx;
    const room = this.list.clientHeight;
    if (top < this.list.scrollTop) this.list.scrollTop = top;
    else if (top + this.rowPx > this.list.scrollTop + room) this.list.scrollTop = top + this.rowPx - room;
  }
}

/** The photo, as it was held; none where it cannot be shown. */
export function picture(row: QueueRow): HTMLElement {
  const made = element("img", {
    className: "thumb",
    alt: "",
    decoding: "async",
    loading: "lazy",
    src: `/api/frames/${row.id}/preview.jpg?size=${THUMB_PX}&v=${row.version}`,
    data: { orientation: String(row.orientation) },
  });
  made.addEventListener("error", () => made.classList.add("none"));
  return made;
}

function said(row: QueueRow): string {
  if (row.disputed) return "disputed";
  if (row.marked !== null) return row.marked === "rejected" ? "looks wrong" : "looks doubtful";
  return row.decision === null ? "" : CHOICE_WORDS[row.decision];
}
