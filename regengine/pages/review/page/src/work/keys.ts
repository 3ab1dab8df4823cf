// Keys by name, and what they do: one table for the keyboard, the buttons and the help.

import { button, element } from "./dom";

export type Bar = "Page" | "View" | "Tool" | "Points" | "Engine" | "Decide";
export type Group = "Decide" | "Look" | "Points" | "Camera" | "Write" | "Page";

export interface Action {
  id: string;
  /** As `keyName` gives them; the first one is shown. */
  keys: [string, ...string[]];
  label: string;
  group: Group;
  /** `key`: which of them; the first one where a button was pressed. */
  run: (key: string) => void;
  /** For keys that are held. */
  release?: () => void;
  enabled?: () => boolean;
  /** Why it would be refused, which its key says; null where it would not. */
  refusal?: () => string | null;
  /** Where it has a button, with a text shorter than the label. */
  button?: { bar: Bar; text: string; pressed?: () => boolean; className?: string };
}

/** The name of a key press: letters small, modifiers in front: "a", "Shift+z", "Ctrl+z", "?". */
export function keyName(event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">): string {
  const letter = event.key.length === 1;
  const key = letter ? event.key.toLowerCase() : event.key;
  const command = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  const option = event.altKey ? "Alt+" : "";
  // Where Shift makes the character, the character says it
  const caseless = letter && event.key.toLowerCase() === event.key.toUpperCase();
  const shift = event.shiftKey && !caseless ? "Shift+" : "";
  return command + option + shift + key;
}

/** How a key is shown on a button and in the help. */
export function keyLabel(name: string): string {
  return name.split("+").map((part) => SHOWN[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join(" ");
}

const SHOWN: Record<string, string> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Escape: "Esc",
  Delete: "Del",
};

/** Whether a key belongs to what has the focus: letters to fields, arrows to lists and sliders, too. */
export function belongsTo(target: EventTarget | null, name: string): boolean {
  if (target instanceof HTMLTextAreaElement) return true;
  if (target instanceof HTMLSelectElement) return !target.closest("#layers") || MOVES.test(name);
  if (!(target instanceof HTMLInputElement)) return false;
  if (["radio", "range"].includes(target.type)) return MOVES.test(name);
  return !["checkbox", "button"].includes(target.type);
}

/** What chooses in a list, or moves a slider. */
const MOVES = /^(Shift\+)?(Arrow(Up|Down|Left|Right)|Home|End|PageUp|PageDown|Enter| )$/;

export class Keyboard {
  private readonly byKey = new Map<string, Action>();
  private held: { key: string; action: Action } | null = null;
  /** Off: only keys with Ctrl work (for those who dictate, or type with few fingers). */
  letters = true;

  constructor(readonly actions: Action[]) {
    for (const action of actions) {
      for (const key of action.keys) {
        if (this.byKey.has(key)) throw new Error(`two actions have the key ${key}`);
        this.byKey.set(key, action);
      }
    }
  }

  listen(): void {
    document.addEventListener("keydown", (event) => this.down(event), true);
    document.addEventListener("keyup", (event) => this.up(event), true);
    window.addEventListener("blur", () => this.letGo());
    // A list that was opened by the pointer gives the keys back once something is chosen
    let pressed: EventTarget | null = null;
    document.addEventListener("pointerdown", (event) => (pressed = event.target), true);
    document.addEventListener("keydown", () => (pressed = null), true);
    document.addEventListener("change", ({ target }) => {
      if (target === pressed && target instanceof HTMLSelectElement) target.blur();
    });
  }

  private down(event: KeyboardEvent): void {
    const name = keyName(event);
    if (event.isComposing || document.querySelector("dialog[open]") !== null) return;
    if (belongsTo(event.target, name)) {
      if (name === "Escape") (event.target as HTMLElement).blur();
      return;
    }
    const action = this.byKey.get(name);
    if (action === undefined || (!this.letters && /^.$/.test(name))) return;
    if (action.enabled && !action.enabled()) return;
    event.preventDefault();
    event.stopPropagation();
    if (action.release) {
      if (this.held !== null) return;
      this.held = { key: event.key.toLowerCase(), action };
    } else if (event.repeat && !REPEATED.test(name)) {
      return;
    }
    action.run(name);
  }

  private up(event: KeyboardEvent): void {
    if (this.held !== null && event.key.toLowerCase() === this.held.key) this.letGo();
  }

  private letGo(): void {
    this.held?.action.release?.();
    this.held = null;
  }
}

/** What may go on while a key is held down: a decision must not. */
const REPEATED = /Arrow|^[[\],.]$|^Ctrl\+/;

export function buttons(actions: Action[], bar: Bar) {
  const made = actions.flatMap((action) => {
    const { id, keys: [key], button: look, run, release } = action;
    if (look?.bar !== bar) return [];
    const act = release ? () => undefined : () => run(key);
    const about = { id: `do-${id}`, className: look.className ?? "", title: title(action) };
    const made = button([look.text, keyHint(key)], act, { ...about, attributes: { "aria-keyshortcuts": key } });
    if (release) hold(made, () => run(key), release);
    return [{ action, look, made }];
  });
  return {
    element: element(
      "div",
      { className: "buttons", attributes: { role: "group", "aria-label": bar } },
      element("span", { className: "caption", attributes: { "aria-hidden": "true" } }, bar),
      ...made.map((each) => each.made),
    ),
    refresh(): void {
      for (const { action, look, made: button } of made) {
        const refusal = action.refusal?.() ?? null;
        button.disabled = refusal !== null || action.enabled?.() === false;
        button.title = refusal ?? title(action);
        if (look.pressed) button.setAttribute("aria-pressed", String(look.pressed()));
      }
    },
  };
}

export function keyHint(key: string): HTMLElement {
  return element("kbd", { attributes: { "aria-hidden": "true" } }, keyLabel(key));
}

function title({ label, keys: [key] }: Action): string {
  return `${label} (${keyLabel(key)})`;
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
