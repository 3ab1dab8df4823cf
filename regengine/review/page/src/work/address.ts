// The part of the page's address after #: which frame, which filter; a reload comes back to it.

import type { QueueFilter, Verdict } from "../types";
import { filterQuery } from "./api";

export interface Address {
  frame: number | null;
  filter: QueueFilter;
}

const LISTS = ["verdict", "reason", "category", "camera"] as const;
const TEXTS = ["date_from", "date_to", "text", "tag"] as const;
const STATUSES = ["open", "done", "disputed", "second", "all"] as const;
const SORTS = ["doubt", "time", "name"] as const;

export function readAddress(hash: string): Address {
  const query = new URLSearchParams(hash.replace(/^#/, ""));
  const filter: QueueFilter = {
    status: STATUSES.find((each) => each === query.get("status")) ?? "open",
    sort: SORTS.find((each) => each === query.get("sort")) ?? "doubt",
  };
  for (const name of LISTS) {
    const values = query.getAll(name);
    if (values.length > 0) filter[name] = values as Verdict[];
  }
  for (const name of TEXTS) {
    const value = query.get(name);
    if (value) filter[name] = value;
  }
  const box = (query.get("bbox") ?? "").split(",").map(Number);
  const [west, south, east, north] = box;
  if (box.length === 4 && box.every(Number.isFinite)) filter.bbox = [west!, south!, east!, north!];
  const frame = query.get("frame");
  return { frame: frame !== null && /^\d{1,9}$/.test(frame) ? Number(frame) : null, filter };
}

export function writeAddress({ frame, filter }: Address): string {
  const query = filterQuery(filter);
  if (frame !== null) query.set("frame", String(frame));
  return `#${query.toString()}`;
}
