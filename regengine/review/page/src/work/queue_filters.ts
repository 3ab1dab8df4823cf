// The filters of the queue: what can be asked for, with how many frames there are of each.

import type { Facets, Place, QueueFilter, Verdict } from "../types";
import { element, refill } from "./dom";
import { placeBox, type PlaceBox } from "./place_box";
import { VERDICT_WORDS, words } from "./text";

/** Around a place that is asked for: about as far as one photo shows. */
const PLACE_DEGREES = 3;

type Single = "reason" | "category" | "camera";

export class QueueFilters {
  private filter: QueueFilter;
  private readonly body = element("div", { className: "filters" });
  /** What the counts of the frames change: drawn again without the fields that may be typed in. */
  private readonly verdictsHost = element("div", { className: "counted" });
  private readonly choicesHost = element("div", { className: "counted" });
  private readonly summary = element("summary", {}, "Filters");
  private readonly place: PlaceBox;
  private facets: Facets | null = null;

  constructor(
    host: HTMLElement,
    start: QueueFilter,
    private readonly changed: (filter: QueueFilter) => void,
    find: (text: string, signal: AbortSignal) => Promise<Place[]>,
    failed: (error: unknown) => void,
  ) {
    this.filter = start;
    this.place = placeBox({
      id: "filter-place",
      label: "Near",
      find,
      failed,
      chosen: (place) => this.set(place === null ? without(this.filter, "bbox") : { ...this.filter, bbox: around(place) }),
    });
    host.append(element("details", { id: "filters" }, this.summary, this.body));
    this.draw();
  }

  setFacets(facets: Facets): void {
    this.facets = facets;
    this.drawCounted();
    for (const id of ["filter-date_from", "filter-date_to"]) {
      const field = this.body.querySelector(`#${id}`) as HTMLInputElement;
      field.min = (facets.first_time ?? "").slice(0, 10);
      field.max = (facets.last_time ?? "").slice(0, 10);
    }
  }

  get tags(): string[] {
    return Object.keys(this.facets?.tag ?? {});
  }

  get current(): QueueFilter {
    return this.filter;
  }

  /** The field for names, open and ready to type. */
  focusText(): void {
    (this.body.parentElement as HTMLDetailsElement).open = true;
    (this.body.querySelector("#filter-text") as HTMLInputElement).focus();
  }

  private set(filter: QueueFilter): void {
    this.filter = filter;
    this.count();
    this.changed(filter);
  }

  private count(): void {
    const { status: _, sort: __, ...rest } = this.filter;
    const set = Object.keys(rest).length;
    refill(this.summary, set === 0 ? "Filters" : `Filters (${set} set)`);
  }

  /** The boxes and lists with counts; the one that has the focus has it again. */
  private drawCounted(): void {
    const focused = document.activeElement?.id ?? "";
    refill(this.verdictsHost, this.verdicts());
    refill(
      this.choicesHost,
      this.single("reason", "Reason"),
      this.single("category", "Category"),
      this.single("camera", "Camera"),
      this.tag(),
    );
    if (focused !== "" && document.activeElement?.id !== focused) {
      this.body.querySelector<HTMLElement>(`#${CSS.escape(focused)}`)?.focus();
    }
  }

  private draw(): void {
    this.count();
    this.drawCounted();
    const { filter } = this;
    refill(
      this.body,
      this.select("status", "Decisions", filter.status ?? "open", [
        ["open", "not decided yet"],
        ["second", "decided by others, not by me"],
        ["done", "decided"],
        ["disputed", "disputed"],
        ["all", "all"],
      ]),
      this.select("sort", "Order", filter.sort ?? "doubt", [
        ["doubt", "most doubtful first"],
        ["time", "by time"],
        ["name", "by name"],
      ]),
      this.verdictsHost,
      this.choicesHost,
      this.place.element,
      this.text("date_from", "From", "date"),
      this.text("date_to", "To", "date"),
      this.text("text", "Name contains", "search"),
      element("button", { type: "button", onclick: () => this.clear() }, "Clear filters"),
    );
  }

  private clear(): void {
    this.place.show(null);
    this.filter = {
      ...(this.filter.status ? { status: this.filter.status } : {}),
      ...(this.filter.sort ? { sort: this.filter.sort } : {}),
    };
    this.draw();
    this.changed(this.filter);
  }

  private verdicts(): HTMLElement {
    const chosen = this.filter.verdict ?? [];
    const boxes = (Object.keys(VERDICT_WORDS) as Verdict[]).map((verdict) =>
      element(
        "label",
        { className: "check" },
        element("input", {
          id: `filter-verdict-${verdict}`,
          type: "checkbox",
          checked: chosen.includes(verdict),
          onchange: (event) => {
            const on = (event.target as HTMLInputElement).checked;
            const before = this.filter.verdict ?? [];
            const now = on ? [...before, verdict] : before.filter((each) => each !== verdict);
            this.set(now.length === 0 ? without(this.filter, "verdict") : { ...this.filter, verdict: now });
          },
        }),
        `${VERDICT_WORDS[verdict]} (${this.facets?.verdict[verdict] ?? 0})`,
      ),
    );
    return element("fieldset", {}, element("legend", {}, "Verdict"), ...boxes);
  }

  private single(name: Single, label: string): HTMLElement {
    const options = Object.entries(this.facets?.[name] ?? {}).map(([value, n]): [string, string] => [
      value,
      `${name === "camera" ? value : words(value)} (${n})`,
    ]);
    return this.choice(name, label, this.filter[name]?.[0] ?? "", [["", "any"], ...options], (value) =>
      value === "" ? without(this.filter, name) : { ...this.filter, [name]: [value] },
    );
  }

  private tag(): HTMLElement | null {
    const options = Object.entries(this.facets?.tag ?? {}).map(([value, n]): [string, string] => [value, `${value} (${n})`]);
    if (options.length === 0) return null;
    return this.choice("tag", "Tag", this.filter.tag ?? "", [["", "any"], ...options], (value) =>
      value === "" ? without(this.filter, "tag") : { ...this.filter, tag: value },
    );
  }

  private select(name: "status" | "sort", label: string, value: string, options: [string, string][]): HTMLElement {
    return this.choice(name, label, value, options, (next) => ({ ...this.filter, [name]: next }));
  }

  private choice(
    name: string,
    label: string,
    value: string,
    options: [string, string][],
    next: (value: string) => QueueFilter,
  ): HTMLElement {
    const id = `filter-${name}`;
    return element(
      "div",
      { className: "field" },
      element("label", { htmlFor: id }, label),
      element(
        "select",
        { id, onchange: (event) => this.set(next((event.target as HTMLSelectElement).value)) },
        ...options.map(([key, text]) => element("option", { value: key, selected: key === value }, text)),
      ),
    );
  }

  private text(name: "date_from" | "date_to" | "text", label: string, type: string): HTMLElement {
    const id = `filter-${name}`;
    return element(
      "div",
      { className: "field" },
      element("label", { htmlFor: id }, label),
      element("input", {
        id,
        type,
        value: this.filter[name] ?? "",
        min: type === "date" ? (this.facets?.first_time ?? "").slice(0, 10) : "",
        max: type === "date" ? (this.facets?.last_time ?? "").slice(0, 10) : "",
        oninput: (event) => {
          const value = (event.target as HTMLInputElement).value;
          this.set(value === "" ? without(this.filter, name) : { ...this.filter, [name]: value });
        },
      }),
    );
  }
}

function without(filter: QueueFilter, name: keyof QueueFilter): QueueFilter {
  const { [name]: _, ...rest } = filter;
  return rest;
}

/** A box around a place, wider in degrees of longitude towards the poles. */
export function around(place: Place): [number, number, number, number] {
  const wide = Math.min(180, PLACE_DEGREES / Math.max(0.05, Math.cos((place.lat * Math.PI) / 180)));
  const wrap = (lon: number): number => (wide >= 180 ? Math.sign(lon - place.lon) * 180 : ((((lon + 180) % 360) + 360) % 360) - 180);
  return [
    wrap(place.lon - wide),
    Math.max(-90, place.lat - PLACE_DEGREES),
    wrap(place.lon + wide),
    Math.min(90, place.lat + PLACE_DEGREES),
  ];
}
