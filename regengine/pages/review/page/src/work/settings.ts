// What the browser remembers of how a person likes the page; nothing of the work.

const PREFIX = "regengine-review.";

export function remembered<T extends object>(name: string, usual: T): T {
  try {
    const kept = JSON.parse(localStorage.getItem(PREFIX + name) ?? "null") as Partial<T> | null;
    return { ...usual, ...kept };
  } catch {
    return { ...usual };
  }
}

export function remember(name: string, value: object): void {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing: the page works all the same
  }
}
