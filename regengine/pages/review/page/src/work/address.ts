// The part of the page's address after #: which frame, which filter; a reload comes back to it.

export interface Address {
  frame: number | null;
  /** As the server's queue takes it, and the form of filters reads it. */
  filter: URLSearchParams;
}

export function readAddress(hash: string): Address {
  const filter = new URLSearchParams(hash.replace(/^#/, ""));
  const frame = filter.get("frame");
  filter.delete("frame");
  return { frame: frame !== null && /^\d{1,9}$/.test(frame) ? Number(frame) : null, filter };
}

export function writeAddress(frame: number | null, filter: string): string {
  return `#${filter}${frame === null ? "" : `&frame=${frame}`}`;
}
