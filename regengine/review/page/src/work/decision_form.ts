// What a person says of the frame besides its points: quality, place, tags, comment.

import type { Draft, Place } from "../types";
import type { Editor } from "./editor";
import { element } from "./dom";
import { withTags } from "./draft";
import { placeBox } from "./place_box";
import { MISSING } from "./text";

export interface DecisionForm {
  element: HTMLElement;
  /** Another frame: fill the fields. What is being typed is never overwritten otherwise. */
  show(draft: Draft, suggested: string | null): void;
  /** Whether nothing can be written: another frame is on its way. */
  hold(held: boolean): void;
  setTags(known: string[]): void;
  focus(field: "comment" | "tags" | "place" | "quality"): void;
}

export interface DecisionFormNeeds {
  editor: Editor;
  find: (text: string, signal: AbortSignal) => Promise<Place[]>;
  failed: (error: unknown) => void;
  goTo: (place: Place) => void;
}

export function decisionForm({ editor, find, failed, goTo }: DecisionFormNeeds): DecisionForm {
  const place = placeBox({
    id: "place",
    label: "Place and country",
    find,
    failed,
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
    oninput: () => editor.tell({ tags: withTags(editor.draft, tags.value).tags }),
    attributes: { list: "known-tags" },
  });
  const comment = element("textarea", {
    id: "comment",
    rows: 2,
    maxLength: 4000,
    oninput: () => editor.tell({ comment: comment.value }),
  });
  const stars = [0, 1, 2, 3, 4, 5].map((value) =>
    element("input", {
      type: "radio",
      name: "quality",
      id: `quality-${value}`,
      value: String(value),
      onchange: () => editor.tell({ quality: value }),
    }),
  );
  const none = element("input", {
    type: "radio",
    name: "quality",
    id: "quality-none",
    onchange: () => editor.tell({ quality: null }),
    attributes: { "aria-label": "Not said" },
  });
  const form = element(
    "form",
    { id: "about", autocomplete: "off", onsubmit: (event: Event) => event.preventDefault() },
    element(
      "fieldset",
      { className: "quality" },
      element("legend", {}, "Quality, 0 useless to 5 excellent"),
      element("label", { htmlFor: none.id }, none, MISSING),
      ...stars.map((star, value) => element("label", { htmlFor: star.id }, star, value)),
    ),
    place.element,
    element("div", { className: "field" }, element("label", { htmlFor: "tags" }, "Tags, with commas"), tags, known),
    element("div", { className: "field" }, element("label", { htmlFor: "comment" }, "Comment"), comment),
  );

  return {
    element: form,
    show(draft, suggested) {
      place.show(draft.place);
      place.input.placeholder = suggested ?? "City or town";
      tags.value = draft.tags.join(", ");
      comment.value = draft.comment;
      none.checked = draft.quality === null;
      stars.forEach((star, value) => (star.checked = draft.quality === value));
      for (const field of form.querySelectorAll<HTMLInputElement>("input, textarea, button")) {
        field.disabled = editor.readonly;
      }
    },
    hold(held) {
      for (const field of [place.input, tags, comment]) field.readOnly = held;
    },
    setTags(names) {
      known.replaceChildren(...names.map((name) => element("option", { value: name })));
    },
    focus(field) {
      const target = { comment, tags, place: place.input, quality: stars.find((star) => star.checked) ?? stars[3] }[field];
      target?.focus();
    },
  };
}
