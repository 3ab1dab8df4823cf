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
  put(made, ...children);
  return made;
}

/** Append what there is; nothing for null, undefined and false. */
export function put(parent: Node, ...children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

export function refill(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  put(parent, ...children);
}

/** Fill anew; what had the focus has it again, by its id. */
export function redraw(parent: Element, ...children: Child[]): void {
  const focused = parent.contains(document.activeElement) ? document.activeElement?.id : undefined;
  refill(parent, ...children);
  if (focused) document.getElementById(focused)?.focus();
}

/** A control with its label; `shown` where more stands there than it alone. */
export function field(label: string, control: HTMLElement, ...shown: HTMLElement[]): HTMLElement {
  const content = shown.length > 0 ? shown : [control];
  return element("div", { className: "field" }, element("label", { htmlFor: control.id }, label), ...content);
}

/** Draw only what has changed: a button that is replaced while it is pressed misses its click. */
export function drawnOnChange(draw: () => void, ...shown: (() => unknown)[]): () => void {
  let before: unknown[] | null = null;
  return () => {
    const now = shown.map((each) => each());
    if (before?.every((each, i) => each === now[i])) return;
    before = now;
    draw();
  };
}

/** The element of index.html with this id: its absence is a mistake of ours. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found;
}
