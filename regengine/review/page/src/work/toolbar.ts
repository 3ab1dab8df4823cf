// Rows of buttons made of actions: what a key does, a button does, too.

import { element } from "./dom";
import { keyLabel, type Action, type Bar } from "./keys";

export function buttons(actions: Action[], bar: Bar) {
  const made = actions.flatMap((action) => (action.button?.bar === bar ? [{ action, look: action.button }] : [])).map(({ action, look }) => {
    const [key] = action.keys;
    const button = element(
      "button",
      {
        type: "button",
        id: `do-${action.id}`,
        className: look.className ?? "",
        title: key === undefined ? action.label : `${action.label} (${keyLabel(key)})`,
        onclick: () => {
          if (!action.release) action.run(key ?? "");
        },
        attributes: key === undefined ? {} : { "aria-keyshortcuts": key },
      },
      look.text,
      key === undefined ? null : element("kbd", { attributes: { "aria-hidden": "true" } }, keyLabel(key)),
    );
    if (action.release) hold(button, () => action.run(key ?? ""), action.release);
    return { action, look, button };
  });
  return {
    element: element(
      "div",
      { className: "buttons", attributes: { role: "group", "aria-label": bar } },
      element("span", { className: "caption", attributes: { "aria-hidden": "true" } }, bar),
      ...made.map(({ button }) => button),
    ),
    refresh(): void {
      for (const { action, look, button } of made) {
        button.disabled = action.enabled ? !action.enabled() : false;
        if (look.pressed) button.setAttribute("aria-pressed", String(look.pressed()));
      }
    },
  };
}

/** A button that acts as long as it is held down, by the pointer or by a key. */
function hold(button: HTMLButtonElement, run: () => void, release: () => void): void {
  button.addEventListener("pointerdown", run);
  for (const end of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"]) {
    button.addEventListener(end, release);
  }
  button.addEventListener("keydown", (event) => {
    if (event.key === " " || event.key === "Enter") run();
  });
}
