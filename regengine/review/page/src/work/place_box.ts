// A field that finds places by name while one types; the browser shows what was found.

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
  const list = element("datalist", { id: `${needs.id}-list` });
  const input = element("input", {
    id: needs.id,
    type: "text",
    autocomplete: "off",
    spellcheck: false,
    placeholder: needs.placeholder ?? "City or town",
    attributes: { list: list.id },
  });
  let found: Place[] = [];
  let waiting = 0;
  let asking = new AbortController();

  const show = (place: Place | null): void => {
    window.clearTimeout(waiting);
    asking.abort();
    input.value = place === null ? "" : placeName(place);
  };
  const choose = (place: Place): void => {
    show(place);
    needs.chosen(place);
  };
  /** Ask about what stands in the field; `then` is told the places, where nothing else was asked since. */
  const find = (then: (places: Place[]) => void): void => {
    window.clearTimeout(waiting);
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    needs.find(input.value.trim(), signal).then(
      (places) => {
        if (!signal.aborted) then((found = places));
      },
      (error: unknown) => {
        if (!signal.aborted) needs.failed(error);
      },
    );
  };
  const offer = (places: Place[]): void =>
    list.replaceChildren(
      ...places.map((place) =>
        element("option", { value: placeName(place) }, place.population > 0 ? count(place.population, "inhabitant") : ""),
      ),
    );

  input.addEventListener("input", () => {
    const picked = found.find((place) => placeName(place) === input.value);
    window.clearTimeout(waiting);
    if (input.value.trim() === "") needs.chosen(null);
    else if (picked) choose(picked);
    else if (input.value.trim().length > 1) waiting = window.setTimeout(() => find(offer), WAIT_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || input.value.trim().length < 2) return;
    event.preventDefault();
    find(([first]) => first && choose(first));
  });
  // The server reads the names of the world's towns at the first question: let it be this one
  input.addEventListener("focus", () => void needs.find("", new AbortController().signal).catch(() => []), { once: true });
  input.addEventListener("blur", () => window.clearTimeout(waiting));

  const box = element("div", { className: "place-box" }, element("label", { htmlFor: needs.id }, needs.label), input, list);
  return { element: box, input, show };
}

export function placeName(place: Place): string {
  return [place.name, place.state ?? "", place.country].filter((part) => part !== "").join(", ");
}
