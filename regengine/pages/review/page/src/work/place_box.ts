// A field that finds places by name while one types; the browser shows what was found.

import type { Place } from "../types";
import { api } from "./api";
import { element } from "./dom";
import { atRest } from "./link";
import { failed } from "./notices";
import { coordinatesIn, count, joined, lonLat } from "./text";

const WAIT_MS = 150;

export function placeBox(needs: {
  id: string;
  label: string;
  placeholder?: string;
  coordinates?: boolean;
  /** null: the field was emptied. */
  chosen: (place: Place | null) => void;
}) {
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

  /** What stands in the field. */
  const show = (place: Place | null): void => {
    offering.stop();
    taking.stop();
    input.value = place === null ? "" : placeName(place);
  };
  const choose = (place: Place): void => {
    show(place);
    needs.chosen(place);
  };
  const ask = async (text: string, signal: AbortSignal): Promise<Place[]> => {
    const at = needs.coordinates ? coordinatesIn(text) : null;
    if (at) return [{ name: lonLat(at), country: "", lon: at[0], lat: at[1], population: 0 }];
    return (await api.places(text, signal)).places;
  };
  /** What is done with the places that what stands in the field may mean. */
  const finding = (act: (places: Place[]) => void) =>
    atRest(async (signal) => {
      const places = await ask(input.value.trim(), signal);
      if (!signal.aborted) act((found = places));
    }, failed);
  const taking = finding(([first]) => first && choose(first));
  const offering = finding((places) =>
    list.replaceChildren(
      ...places.map((place) =>
        element("option", { value: placeName(place) }, place.population > 0 ? count(place.population, "inhabitant") : ""),
      ),
    ),
  );

  input.addEventListener("input", () => {
    const picked = found.find((place) => placeName(place) === input.value);
    offering.stop();
    if (input.value.trim() === "") needs.chosen(null);
    else if (picked) choose(picked);
    else if (input.value.trim().length > 1) offering.soon(WAIT_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || input.value.trim().length < 2) return;
    event.preventDefault();
    offering.stop();
    taking.now();
  });
  // The server reads the names of the world's towns at the first question: let it be this one
  input.addEventListener("focus", () => void api.places("", new AbortController().signal).catch(() => []), { once: true });
  input.addEventListener("blur", () => offering.stop());

  const box = element("div", { className: "place-box" }, element("label", { htmlFor: needs.id }, needs.label), input, list);
  return { element: box, input, show };
}

function placeName(place: Place): string {
  return joined(place.name, place.state, place.country);
}
