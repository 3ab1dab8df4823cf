// A field that finds places by name while one types; a combobox for the keyboard and for readers.

import type { Place } from "../types";
import { element } from "./dom";
import { count } from "./text";

const WAIT_MS = 150;

export interface PlaceBox {
  element: HTMLElement;
  input: HTMLInputElement;
  /** What stands in the field. */
  show(place: Place | null): void;
}

export interface PlaceBoxNeeds {
  id: string;
  label: string;
  placeholder?: string;
  find: (text: string, signal: AbortSignal) => Promise<Place[]>;
  /** null: the field was emptied. */
  chosen: (place: Place | null) => void;
  failed: (error: unknown) => void;
}

export function placeBox(needs: PlaceBoxNeeds): PlaceBox {
  const list = element("ul", {
    id: `${needs.id}-list`,
    className: "places",
    hidden: true,
    attributes: { role: "listbox", "aria-label": needs.label },
  });
  const input = element("input", {
    id: needs.id,
    type: "text",
    autocomplete: "off",
    spellcheck: false,
    placeholder: needs.placeholder ?? "City or town",
    attributes: {
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": `${needs.id}-list`,
    },
  });
  let found: Place[] = [];
  let active = -1;
  let waiting = 0;
  let asking: AbortController | null = null;
  let awaited = false; // an answer about what stands in the field
  let entered = false; // before that answer came

  /** What is on its way is not wanted any more. */
  function close(): void {
    window.clearTimeout(waiting);
    asking?.abort();
    awaited = entered = false;
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function choose(place: Place): void {
    show(place);
    needs.chosen(place);
  }

  function show(place: Place | null): void {
    close();
    input.value = place === null ? "" : placeName(place);
  }

  function draw(): void {
    list.replaceChildren(
      ...found.map((place, i) =>
        element(
          "li",
          {
            id: `${needs.id}-${i}`,
            // before the field loses the focus
            onmousedown: (event) => {
              event.preventDefault();
              choose(place);
            },
            attributes: { role: "option", "aria-selected": String(i === active) },
          },
          placeName(place),
          element("small", {}, place.population > 0 ? count(place.population, "inhabitant") : ""),
        ),
      ),
    );
    list.hidden = found.length === 0;
    input.setAttribute("aria-expanded", String(!list.hidden));
    if (active >= 0) input.setAttribute("aria-activedescendant", `${needs.id}-${active}`);
    else input.removeAttribute("aria-activedescendant");
  }

  async function find(): Promise<void> {
    asking?.abort();
    const text = input.value.trim();
    if (text.length < 2) return close();
    const mine = new AbortController();
    asking = mine;
    try {
      found = await needs.find(text, mine.signal);
    } catch (error) {
      if (mine.signal.aborted) return;
      awaited = entered = false;
      return needs.failed(error);
    }
    if (mine.signal.aborted) return;
    const [first] = found;
    active = -1;
    // Unless more was typed since, and is asked about in a moment
    if (text === input.value.trim()) awaited = false;
    if (entered && !awaited && first) choose(first);
    else draw();
  }

  input.addEventListener("input", () => {
    window.clearTimeout(waiting);
    if (input.value.trim() === "") {
      close();
      needs.chosen(null);
    } else {
      awaited = true;
      entered = false;
      waiting = window.setTimeout(() => void find(), WAIT_MS);
    }
  });
  // The server reads the names of the world's towns at the first question: let it be this one
  input.addEventListener("focus", () => void needs.find("", new AbortController().signal).catch(() => []), { once: true });
  input.addEventListener("keydown", (event) => {
    // The list is about what stood there before: not what is meant
    if (event.key === "Enter" && awaited) {
      entered = true;
      return event.preventDefault();
    }
    if (list.hidden) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const place = found[Math.max(active, 0)];
    if (step !== undefined) {
      active = (active + step + found.length) % found.length;
      draw();
    } else if (event.key === "Enter" && place) {
      choose(place);
    } else if (event.key === "Escape") {
      close();
      event.stopPropagation();
    } else {
      return;
    }
    event.preventDefault();
  });
  input.addEventListener("blur", close);

  const box = element(
    "div",
    { className: "place-box" },
    element("label", { htmlFor: needs.id }, needs.label),
    input,
    list,
  );
  return { element: box, input, show };
}

export function placeName(place: Place): string {
  return [place.name, place.state ?? "", place.country].filter((part) => part !== "").join(", ");
}
