// The few buttons that lie in a corner of a view.

import { element } from "../work/dom";

export function bar(host: HTMLElement, name: string, ...buttons: HTMLElement[]): void {
  host.append(element("div", { className: "view-bar", attributes: { role: "toolbar", "aria-label": name } }, ...buttons));
}

export interface Toggle {
  /** One for each view's bar; they go together. */
  buttons: HTMLButtonElement[];
  pressed(): boolean;
}

export function toggle(text: string, title: string, on: boolean, onChange: () => void, count = 1): Toggle {
  const press = (): void => {
    on = !on;
    for (const each of buttons) each.setAttribute("aria-pressed", String(on));
    onChange();
  };
  const made = () => element("button", { type: "button", title, onclick: press, attributes: { "aria-pressed": String(on) } }, text);
  const buttons = Array.from({ length: count }, made);
  return { buttons, pressed: () => on };
}
