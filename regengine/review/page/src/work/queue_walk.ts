// Which frame comes next.

import type { QueueRows } from "./queue_rows";

/** The row after `from` that is still to be done; those that were skipped come again at the end.
 *  null where nothing is left. `all`: decided rows are part of the list on the way down. */
export async function nextIndex(rows: QueueRows, from: number | null, all: boolean): Promise<number | null> {
  const start = from === null ? 0 : from + 1;
  for (let index = start; index < rows.total; index += 1) {
    await rows.ensure(index, index + 1);
    if (all || rows.row(index)?.decision === null) return index;
  }
  for (let index = 0; index < Math.min(start, rows.total); index += 1) {
    const row = rows.row(index);
    if (index !== from && row?.decision === null) return index;
  }
  return null;
}
