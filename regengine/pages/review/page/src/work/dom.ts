// Elements made from plain values: text stays text, so nothing that a file is called can be markup.

export type Child = Node | string | number | null | undefined | false;

type Properties<Tag extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[Tag], "style" | "dataset" | "attributes" | "innerHTML" | "outerHTML">
> & {
  data?: Record<string, string>;
  /** Attributes without a property of their own, such as aria-…; null leaves one out. */
  attributes?: Record<string, string | null>;
};

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties<Tag> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  const { data, attributes, ...rest } = properties;
  Object.assign(made, rest);
  for (const [name, value] of Object.entries(data ?? {})) made.dataset[name] = value;
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null) made.setAttribute(name, value);
  }
  made.append(...nodesOf(children));
  return made;
}

export function button(content: Child | Child[], act: () => void, properties: Properties<"button"> = {}): HTMLButtonElement {
  return element("button", { type: "button", onclick: () => act(), ...properties }, ...[content].flat());
}

/** A button of less weight than those that work is done with. */
export function quiet(content: Child | Child[], act: () => void, properties: Properties<"button"> = {}): HTMLButtonElement {
  return button(content, act, { className: "quiet", ...properties });
}

/** Fill anew; what had the focus has it again, by its id. */
export function refill(parent: Element, ...children: Child[]): void {
  const focused = parent.contains(document.activeElement) ? document.activeElement?.id : undefined;
  parent.replaceChildren(...nodesOf(children));
  if (focused) document.getElementById(focused)?.focus();
}

/** What there is: nothing of null, undefined and false. */
function nodesOf(children: Child[]): (Node | string)[] {
  return children.flatMap((each) => (each === null || each === undefined || each === false ? [] : [each instanceof Node ? each : String(each)]));
}

/** A control with its label; `shown` where more stands there than it alone. */
export function field(label: string, control: HTMLElement, ...shown: HTMLElement[]): HTMLElement {
  const content = shown.length > 0 ? shown : [control];
  return element("div", { className: "field" }, element("label", { htmlFor: control.id }, label), ...content);
}

const opened = new Set<string>();

/** What is shown on demand; drawn anew, it is open as it was. */
export function folded(id: string, summary: string, ...content: Child[]): HTMLDetailsElement {
  const made = element("details", { id, open: opened.has(id) }, element("summary", { id: `${id}-summary` }, summary), ...content);
  made.addEventListener("toggle", () => (made.open ? opened.add(id) : opened.delete(id)));
  return made;
}

/** Draw only what has changed: a button that is replaced while it is pressed misses its click. */
export function drawnOnChange<First>(draw: (first: First) => void) {
  let before: unknown[] = [];
  return (first: First, ...others: unknown[]): void => {
    const now = [first, ...others];
    if (before.length > 0 && now.every((each, i) => each === before[i])) return;
    before = now;
    draw(first);
  };
}

export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found;
}

export function bar(host: HTMLElement, name: string, ...buttons: HTMLElement[]): void {
  host.append(element("div", { className: "view-bar", attributes: { role: "toolbar", "aria-label": name } }, ...buttons));
}

/** Buttons that are on or off, one for each view's bar: they go together. */
export function toggle(text: string, title: string, on: boolean, onChange: () => void, count = 1) {
  const press = (): void => {
    on = !on;
    for (const each of buttons) each.setAttribute("aria-pressed", String(on));
    onChange();
  };
  const made = () => button(text, press, { title, attributes: { "aria-pressed": String(on) } });
  const buttons = Array.from({ length: count }, made);
  return { buttons, pressed: () => on };
}
