// What was done on the frame in view, to go back to any of it.

import { element, redraw } from "./dom";
import type { Editor } from "./editor";

let open = false;

export function showSteps(host: HTMLElement, editor: Editor): void {
  const { what, at } = editor.steps;
  redraw(
    host,
    what.length > 1 &&
      element(
        "details",
        { className: "steps", open, ontoggle: (event) => (open = (event.target as HTMLDetailsElement).open) },
        element("summary", { id: "steps-summary" }, `Steps (${what.length - 1})`),
        element(
          "ol",
          {},
          ...what.map((text, index) =>
            element(
              "li",
              {},
              element(
                "button",
                {
                  id: `step-${index}`,
                  type: "button",
                  className: index > at ? "undone" : "",
                  disabled: editor.readonly,
                  onclick: () => editor.goTo(index),
                  attributes: { "aria-current": index === at ? "step" : null },
                },
                text,
              ),
            ),
          ),
        ),
      ),
  );
}
