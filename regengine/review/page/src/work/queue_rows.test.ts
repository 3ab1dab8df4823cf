import assert from "node:assert/strict";
import { test } from "node:test";
import type { QueueRow } from "../types";
import { QueueRows } from "./queue_rows";
import { nextIndex } from "./queue_walk";

function rowOf(id: number): QueueRow {
  return {
    id,
    frame: `frame ${id}`,
    verdict: "review",
    probability: null,
    reasons: [],
    category: null,
    time_utc: null,
    camera_body: null,
    centre: null,
    place: null,
    orientation: 1,
    version: "",
    log10_odds: null,
    log10_lead: null,
    sigma_m: null,
    decision: null,
    reviewers: 0,
    disputed: false,
  };
}

/** A server with `count` open frames; decided ones leave its list, as the real one's do. */
function server(count: number) {
  const open = Array.from({ length: count }, (_, id) => id);
  const asked: number[] = [];
  return {
    asked,
    decide: (id: number) => open.splice(open.indexOf(id), 1),
    fetch: async (offset: number, limit: number) => {
      asked.push(offset);
      return { total: open.length, frames: open.slice(offset, offset + limit).map(rowOf), named: true };
    },
  };
}

test("every frame comes by once, though decided ones leave the server's list", async () => {
  const there = server(350);
  const rows = new QueueRows(there.fetch, true);
  const seen: number[] = [];
  await rows.ensure(0, 1);
  for (let index = 0; index < rows.total; index += 1) {
    await rows.ensure(index, index + 2);
    const row = rows.row(index);
    assert.ok(row, `row ${index} is there`);
    seen.push(row.id);
    there.decide(row.id);
    rows.decided(row.id, { decision: "accepted" });
  }
  assert.deepEqual(seen, Array.from({ length: 350 }, (_, id) => id));
});

test("a page is asked for once, and again only when that failed", async () => {
  const there = server(250);
  const rows = new QueueRows(there.fetch, true);
  await Promise.all([rows.ensure(0, 10), rows.ensure(5, 20)]);
  await rows.ensure(0, 100);
  assert.deepEqual(there.asked, [0]);
  await rows.ensure(90, 210);
  assert.deepEqual(there.asked, [0, 100, 200]);

  let fails = true;
  const shaky = new QueueRows(async (offset, limit) => {
    if (fails) throw new Error("gone");
    return there.fetch(offset, limit);
  }, true);
  await assert.rejects(shaky.ensure(0, 1));
  fails = false;
  await shaky.ensure(0, 1);
  assert.equal(shaky.row(0)?.id, 0);
});

test("names that come late are filled in, and nothing else changes", async () => {
  let named = false;
  const rows = new QueueRows(async () => {
    const place = named ? "Osaka, Japan" : null;
    return { total: 2, frames: [0, 1].map((id) => ({ ...rowOf(id), place })), named };
  }, true);
  await rows.ensure(0, 2);
  rows.decided(0, { decision: "accepted" });
  await rows.name();
  assert.ok(rows.nameless);
  named = true;
  await rows.name();
  assert.ok(!rows.nameless);
  assert.deepEqual([rows.row(0)?.place, rows.row(0)?.decision], ["Osaka, Japan", "accepted"]);
});

test("a frame that is decided while the list is on its way is decided in it", async () => {
  let come = (): void => undefined;
  const gate = new Promise<void>((resolve) => (come = resolve));
  const there = server(3);
  const rows = new QueueRows(async (offset, limit) => {
    const answer = await there.fetch(offset, limit);
    await gate;
    return answer;
  }, true);
  const asked = rows.ensure(0, 1);
  rows.decided(0, { decision: "accepted" });
  come();
  await asked;
  assert.equal(rows.row(0)?.decision, "accepted");
  assert.equal(await nextIndex(rows, null, false), 1);
});

test("rows that were decided have left, but for the one in view", async () => {
  const rows = new QueueRows(server(5).fetch, true);
  await rows.ensure(0, 5);
  for (const id of [3, 1]) rows.decided(id, { decision: "accepted" });
  assert.deepEqual(rows.left(0), [1, 3]);
  assert.deepEqual(rows.left(3), [1]);
  const all = new QueueRows(server(5).fetch, false);
  await all.ensure(0, 5);
  all.decided(1, { decision: "accepted" });
  assert.deepEqual(all.left(null), []);
});

test("an empty queue is empty", async () => {
  const rows = new QueueRows(server(0).fetch, true);
  await rows.ensure(0, 50);
  assert.equal(rows.total, 0);
  assert.equal(rows.row(0), undefined);
});

test("the next frame is the next undecided one; skipped ones come again, decided ones do not", async () => {
  const rows = new QueueRows(server(4).fetch, true);
  await rows.ensure(0, 4);
  assert.equal(await nextIndex(rows, null, false), 0);
  assert.equal(await nextIndex(rows, 0, false), 1);
  rows.decided(1, { decision: "accepted" });
  rows.decided(2, { decision: "rejected" });
  assert.equal(await nextIndex(rows, 0, false), 3);
  rows.decided(3, { decision: "accepted" });
  assert.equal(await nextIndex(rows, 3, false), 0);
  rows.decided(0, { decision: "unsure" });
  assert.equal(await nextIndex(rows, 0, false), null);
  assert.equal(await nextIndex(rows, 0, true), 1);
  assert.equal(await nextIndex(rows, 3, true), null);
});

test("at the end of a list with decided rows, undecided ones above come next", async () => {
  const rows = new QueueRows(server(3).fetch, false);
  await rows.ensure(0, 3);
  rows.decided(0, { decision: "accepted" });
  rows.decided(2, { decision: "accepted" });
  assert.equal(await nextIndex(rows, 2, true), 1);
});
