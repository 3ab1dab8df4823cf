// What a person says of the frame besides its points: quality, place, tags, comment.

import type { Draft, Place } from "../types";
import type { Editor } from "./editor";
import { element, field } from "./dom";
import { tagsIn } from "./draft";
import { placeBox } from "./place_box";
import { MISSING } from "./text";

export function decisionForm(editor: Editor, goTo: (place: Place) => void) {
  const place = placeBox({
    id: "place",
    label: "Place and country",
    chosen: (chosen) => {
      editor.tell({ place: chosen });
      if (chosen !== null) goTo(chosen);
    },
  });
  const known = element("datalist", { id: "known-tags" });
  const tags = element("input", {
    id: "tags",
    type: "text",
    autocomplete: "off",
    placeholder: "aurora, moon",
    maxLength: 400,
    oninput: () => editor.tell({ tags: tagsIn(tags.value) }),
    attributes: { list: "known-tags" },
  });
  const comment = element("textarea", {
    id: "comment",
    rows: 2,
    maxLength: 4000,
    oninput: () => editor.tell({ comment: comment.value }),
  });
  const stars = [null, 0, 1, 2, 3, 4, 5].map((value) =>
    element("input", {
      type: "radio",
      name: "quality",
      id: `quality-${value ?? "none"}`,
      value: String(value ?? ""),
      onchange: () => editor.tell({ quality: value }),
      attributes: { "aria-label": value === null ? "Not said" : null },
    }),
  );
  const form = element(
    "form",
    { id: "about", autocomplete: "off", onsubmit: (event: Event) => event.preventDefault() },
    element(
      "fieldset",
      { className: "quality" },
      element("legend", {}, "Quality, 0 useless to 5 excellent"),
      ...stars.map((star) => element("label", { htmlFor: star.id }, star, star.value || MISSING)),
    ),
    place.element,
    field("Tags, with commas", tags, tags, known),
    field("Comment", comment),
  );

  return {
    element: form,
    /** Another frame: fill the fields. What is being typed is never overwritten otherwise. */
    show(draft: Draft, suggested: string | null): void {
      place.show(draft.place);
      place.input.placeholder = suggested ?? "City or town";
      tags.value = draft.tags.join(", ");
      comment.value = draft.comment;
      for (const star of stars) star.checked = star.value === String(draft.quality ?? "");
      for (const control of form.querySelectorAll<HTMLInputElement>("input, textarea, button")) {
        control.disabled = editor.readonly;
      }
    },
    /** Whether nothing can be written: another frame is on its way. */
    hold(held: boolean): void {
      for (const control of [place.input, tags, comment]) control.readOnly = held;
    },
    setTags(names: string[]): void {
      known.replaceChildren(...names.map((name) => element("option", { value: name })));
    },
  };
}
