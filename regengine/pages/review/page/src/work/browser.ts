// What the browser keeps: how a person likes the page, and in its address which frame and filter.

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

/** `filter`: as the server's queue takes it, and the form of filters reads it. */
export function readAddress(hash: string): { frame: number | null; filter: URLSearchParams } {
  const filter = new URLSearchParams(hash.replace(/^#/, ""));
  const frame = filter.get("frame");
  filter.delete("frame");
  return { frame: frame !== null && /^\d{1,9}$/.test(frame) ? Number(frame) : null, filter };
}

export function writeAddress(frame: number | null, filter: string): string {
  return `#${filter}${frame === null ? "" : `&frame=${frame}`}`;
}
