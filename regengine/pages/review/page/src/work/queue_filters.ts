// The filters of the queue: one form, with how many frames there are of each. What stands in it is the
// question to the server.

import type { Facets, Place, Verdict } from "../types";
import { wrapped } from "../geometry/earth";
import { button, element, field } from "./dom";
import { placeBox } from "./place_box";
import { CATEGORY_WORDS, reasonWords, VERDICT_WORDS, words } from "./text";

/** Around a place that is asked for: about as far as one photo shows. */
const PLACE_DEGREES = 3;
const VERDICTS = Object.keys(VERDICT_WORDS) as Verdict[];
const COUNTED = ["reason", "category", "camera", "tag"] as const;
const BOX = /^-?[\d.]+(,-?[\d.]+){3}$/;

export function queueFilters(host: HTMLElement, start: URLSearchParams, changed: (filter: string) => void) {
  let facets: Facets | null = null;
  const summary = element("summary", {});
  const bbox = element("input", { type: "hidden", name: "bbox" });
  const place = placeBox({
    id: "filter-place",
    label: "Near",
    chosen: (found) => {
      bbox.value = found === null ? "" : around(found).join(",");
      read();
    },
  });
  const select = (name: string, label: string, options: Record<string, string>): HTMLElement =>
    named(name, label, element("select", {}, ...Object.entries(options).map(([value, text]) => element("option", { value }, text))));
  const input = (name: string, label: string, type: string): HTMLElement => named(name, label, element("input", { type }));
  const form = element(
    "form",
    { className: "filters", oninput: () => read(), onsubmit: (event: Event) => event.preventDefault() },
    select("status", "Decisions", {
      open: "not decided yet",
      second: "decided by others, not by me",
      done: "decided",
      disputed: "disputed",
      dependent: "accepted, not independent",
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
    select("reason", "Why it needs a check", {}),
    select("category", "What it shows", {}),
    select("camera", "Camera", {}),
    select("tag", "Tag", {}),
    place.element,
    bbox,
    input("date_from", "From", "date"),
    input("date_to", "To", "date"),
    input("text", "Name contains", "search"),
    button("Clear filters", () => {
      place.show(null);
      show(new URLSearchParams({ status: control("status").value, sort: control("sort").value }));
      read();
    }),
  );
  const control = (name: string): HTMLInputElement | HTMLSelectElement => form.elements.namedItem(name) as HTMLInputElement;

  /** What can be chosen of a list; what is chosen is among it. */
  function offer(name: (typeof COUNTED)[number], chosen: string): void {
    const counts = facets?.[name] ?? {};
    const label = (value: string): string =>
      name === "reason" ? reasonWords(value) : name === "category" ? (CATEGORY_WORDS[value] ?? words(value)) : value;
    const values = [...new Set([...Object.keys(counts), ...(chosen === "" ? [] : [chosen])])];
    control(name).replaceChildren(
      new Option("any", ""),
      ...values.map((value) => new Option(`${label(value)} (${counts[value] ?? 0})`, value)),
    );
    control(name).value = chosen;
    if (name === "tag") control(name).parentElement!.hidden = values.length === 0;
  }

  function show(query: URLSearchParams): void {
    const choose = (name: "status" | "sort", usual: string): void => {
      control(name).value = query.get(name) ?? usual;
      if (control(name).value === "") control(name).value = usual;
    };
    choose("status", "open");
    choose("sort", "doubt");
    for (const name of ["date_from", "date_to", "text"]) control(name).value = query.get(name) ?? "";
    for (const name of COUNTED) offer(name, query.get(name) ?? "");
    bbox.value = BOX.exec(query.get("bbox") ?? "")?.[0] ?? "";
    for (const box of form.querySelectorAll<HTMLInputElement>("[name=verdict]")) {
      box.checked = query.getAll("verdict").includes(box.value);
    }
  }

  function asked(): string {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value !== "") query.append(name, String(value));
    const set = new Set(query.keys()).size - 2; // without status and sort
    summary.textContent = set === 0 ? "Filters" : `Filters (${set} set)`;
    return query.toString();
  }

  function read(): void {
    const next = asked();
    if (next === filter) return;
    filter = next;
    changed(filter);
  }

  show(start);
  let filter = asked();
  host.append(element("details", { id: "filters" }, summary, form));
  return {
    /** What is asked for at first. */
    start: filter,
    setFacets(next: Facets): void {
      facets = next;
      for (const name of COUNTED) offer(name, control(name).value);
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
    /** The field for names, open and ready to type. */
    focusText(): void {
      (form.parentElement as HTMLDetailsElement).open = true;
      control("text").focus();
    },
  };
}

function named(name: string, label: string, control: HTMLInputElement | HTMLSelectElement): HTMLElement {
  control.id = `filter-${name}`;
  control.name = name;
  return field(label, control);
}

/** A box around a place, wider in degrees of longitude towards the poles. */
function around({ lon, lat }: Place): number[] {
  const wide = PLACE_DEGREES / Math.max(0.05, Math.cos((lat * Math.PI) / 180));
  const [south, north] = [Math.max(-90, lat - PLACE_DEGREES), Math.min(90, lat + PLACE_DEGREES)];
  return [wrapped(lon - wide), south, wrapped(lon + wide), north];
}
