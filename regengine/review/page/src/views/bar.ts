// The few buttons that lie in a corner of a view.

export interface Toggle {
  element: HTMLButtonElement;
  pressed(): boolean;
  press(on: boolean): void;
}

export function bar(host: HTMLElement, name: string, ...buttons: HTMLElement[]): void {
  const element = document.createElement("div");
  element.className = "view-bar";
  element.setAttribute("role", "toolbar");
  element.setAttribute("aria-label", name);
  element.append(...buttons);
  host.append(element);
}

export function button(text: string, title: string, onClick: () => void): HTMLButtonElement {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.title = title;
  element.addEventListener("click", onClick);
  return element;
}

export function toggle(
  text: string,
  title: string,
  on: boolean,
  onChange: (on: boolean) => void,
): Toggle {
  const element = button(text, title, () => {
    press(!pressed());
    onChange(pressed());
  });
  const pressed = () => element.getAttribute("aria-pressed") === "true";
  const press = (state: boolean) => element.setAttribute("aria-pressed", String(state));
  press(on);
  return { element, pressed, press };
}
