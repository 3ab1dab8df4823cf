// The filters of the queue: one form, with how many frames there are of each.

import type { Facets, Place, QueueFilter, Verdict } from "../types";
import { readAddress } from "./address";
import { element } from "./dom";
import { placeBox } from "./place_box";
import { VERDICT_WORDS, words } from "./text";

/** Around a place that is asked for: about as far as one photo shows. */
const PLACE_DEGREES = 3;
const VERDICTS = Object.keys(VERDICT_WORDS) as Verdict[];
const COUNTED = ["reason", "category", "camera", "tag"] as const;

export interface QueueFilters {
  setFacets(facets: Facets): void;
  /** The field for names, open and ready to type. */
  focusText(): void;
}

export function queueFilters(
  host: HTMLElement,
  start: QueueFilter,
  changed: (filter: QueueFilter) => void,
  find: (text: string, signal: AbortSignal) => Promise<Place[]>,
  failed: (error: unknown) => void,
): QueueFilters {
  let filter = start;
  let facets: Facets | null = null;
  let bbox = start.bbox;
  const summary = element("summary", {});
  const place = placeBox({
    id: "filter-place",
    label: "Near",
    find,
    failed,
    chosen: (found) => {
      bbox = found === null ? undefined : around(found);
      read();
    },
  });
  const select = (name: string, label: string, options: Record<string, string>): HTMLElement =>
    field(name, label, element("select", {}, ...Object.entries(options).map(([value, text]) => element("option", { value }, text))));
  const input = (name: string, label: string, type: string): HTMLElement => field(name, label, element("input", { type }));
  const form = element(
    "form",
    { className: "filters", oninput: () => read(), onsubmit: (event: Event) => event.preventDefault() },
    select("status", "Decisions", {
      open: "not decided yet",
      second: "decided by others, not by me",
      done: "decided",
      disputed: "disputed",
      all: "all",
    }),
    select("sort", "Order", { doubt: "most doubtful first", time: "by time", name: "by name" }),
    element(
      "fieldset",
      {},
      element("legend", {}, "Verdict"),
      ...VERDICTS.map((value) =>
        element(
          "label",
          { className: "check" },
          element("input", { id: `filter-verdict-${value}`, type: "checkbox", name: "verdict", value }),
          element("span", {}, VERDICT_WORDS[value]),
        ),
      ),
    ),
    select("reason", "Reason", {}),
    select("category", "Category", {}),
    select("camera", "Camera", {}),
    select("tag", "Tag", {}),
    place.element,
    input("date_from", "From", "date"),
    input("date_to", "To", "date"),
    input("text", "Name contains", "search"),
    element(
      "button",
      {
        type: "button",
        onclick: () => {
          place.show(null);
          bbox = undefined;
          show({ ...(filter.status ? { status: filter.status } : {}), ...(filter.sort ? { sort: filter.sort } : {}) });
          read();
        },
      },
      "Clear filters",
    ),
  );
  const control = (name: string): HTMLInputElement | HTMLSelectElement => form.elements.namedItem(name) as HTMLInputElement;

  /** What can be chosen of a list; what is chosen is among it. */
  function offer(name: (typeof COUNTED)[number], counts: Record<string, number>, chosen: string): void {
    const label = (value: string): string => (name === "camera" || name === "tag" ? value : words(value));
    const values = [...new Set([...Object.keys(counts), ...(chosen === "" ? [] : [chosen])])];
    control(name).replaceChildren(
      new Option("any", ""),
      ...values.map((value) => new Option(`${label(value)} (${counts[value] ?? 0})`, value)),
    );
    control(name).value = chosen;
    if (name === "tag") control(name).parentElement!.hidden = values.length === 0;
  }

  function show(next: QueueFilter): void {
    control("status").value = next.status ?? "open";
    control("sort").value = next.sort ?? "doubt";
    for (const name of ["date_from", "date_to", "text"] as const) control(name).value = next[name] ?? "";
    for (const name of COUNTED) offer(name, facets?.[name] ?? {}, (name === "tag" ? next.tag : next[name]?.[0]) ?? "");
    for (const box of form.querySelectorAll<HTMLInputElement>("[name=verdict]")) {
      box.checked = next.verdict?.includes(box.value as Verdict) ?? false;
    }
  }

  function tellCount(): void {
    const { status: _, sort: __, ...rest } = filter;
    const set = Object.keys(rest).length;
    summary.textContent = set === 0 ? "Filters" : `Filters (${set} set)`;
  }

  function read(): void {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value !== "") query.append(name, String(value));
    if (bbox) query.set("bbox", bbox.join(","));
    const next = readAddress(query.toString()).filter;
    if (JSON.stringify(next) === JSON.stringify(filter)) return;
    filter = next;
    tellCount();
    changed(filter);
  }

  show(start);
  tellCount();
  host.append(element("details", { id: "filters" }, summary, form));
  return {
    setFacets(next) {
      facets = next;
      for (const name of COUNTED) offer(name, next[name], control(name).value);
      for (const value of VERDICTS) {
        const label = form.querySelector(`#filter-verdict-${value} + span`);
        if (label) label.textContent = `${VERDICT_WORDS[value]} (${next.verdict[value] ?? 0})`;
      }
      for (const name of ["date_from", "date_to"]) {
        const date = control(name) as HTMLInputElement;
        date.min = (next.first_time ?? "").slice(0, 10);
        date.max = (next.last_time ?? "").slice(0, 10);
      }
    },
    focusText() {
      (form.parentElement as HTMLDetailsElement).open = true;
      control("text").focus();
    },
  };
}

function field(name: string, label: string, control: HTMLInputElement | HTMLSelectElement): HTMLElement {
  control.id = `filter-${name}`;
  control.name = name;
  return element("div", { className: "field" }, element("label", { htmlFor: control.id }, label), control);
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
