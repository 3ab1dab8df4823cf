// The few buttons that lie in a corner of a view.

import { element } from "../work/dom";

export interface Toggle {
  element: HTMLButtonElement;
  pressed(): boolean;
  press(on: boolean): void;
}

export function bar(host: HTMLElement, name: string, ...buttons: HTMLElement[]): void {
  host.append(element("div", { className: "view-bar", attributes: { role: "toolbar", "aria-label": name } }, ...buttons));
}

export function toggle(text: string, title: string, on: boolean, onChange: (on: boolean) => void): Toggle {
  const onclick = (): void => {
    press(!pressed());
    onChange(pressed());
  };
  const made = element("button", { type: "button", title, onclick }, text);
  const pressed = (): boolean => made.getAttribute("aria-pressed") === "true";
  const press = (state: boolean): void => made.setAttribute("aria-pressed", String(state));
  press(on);
  return { element: made, pressed, press };
}
