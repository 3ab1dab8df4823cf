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
        title: title(action),
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
        const refusal = action.refusal?.() ?? null;
        button.disabled = refusal !== null || (action.enabled ? !action.enabled() : false);
        if (action.refusal) button.title = refusal ?? title(action);
        if (look.pressed) button.setAttribute("aria-pressed", String(look.pressed()));
      }
    },
  };
}

function title({ label, keys: [key] }: Action): string {
  return key === undefined ? label : `${label} (${keyLabel(key)})`;
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
