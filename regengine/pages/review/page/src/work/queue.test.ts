import assert from "node:assert/strict";
import { test } from "node:test";
import { Queue } from "./queue";

/** A server of frames by their numbers, whose lists come when they are let go. */
function serve(ids: number[]) {
  const going: (() => void)[] = [];
  const asked: string[] = [];
  globalThis.fetch = (input) => {
    const url = new URL(String(input), "http://here");
    asked.push(url.pathname + url.search);
    const wanted = url.searchParams.getAll("id").map(Number);
    const listed = url.searchParams.get("text") === "b" ? ids.slice(1) : ids;
    const frames = (wanted.length > 0 ? wanted : listed.slice(0, 100)).map((id) => ({ id, frame: `f${id}`, decision: null }));
    const answer = new Response(JSON.stringify({ ids: listed, frames, progress: {} }));
    if (wanted.length > 0) return Promise.resolve(answer);
    return new Promise((resolve) => going.push(() => resolve(answer)));
  };
  return { going, asked };
}

async function listed(ids: number[], filter = ""): Promise<{ queue: Queue } & ReturnType<typeof serve>> {
  const server = serve(ids);
  const queue = new Queue(filter);
  const asked = queue.setFilter(filter, () => null);
  server.going.shift()?.();
  await asked;
  return { queue, ...server };
}

test("every frame comes by once; skipped ones come again at the end, decided ones do not", async () => {
  const { queue } = await listed([7, 5, 9]);
  const seen: (number | undefined)[] = [];
  for (const decide of [true, false, true, true]) {
    queue.index = await queue.next();
    const id = queue.row?.id;
    seen.push(id);
    if (decide && id !== undefined) queue.decided(id, { decision: "accepted" });
  }
  assert.deepEqual(seen, [7, 5, 9, 5]);
  assert.equal(await queue.next(), null);
  assert.deepEqual(queue.shown(), [1]); // the one in view
});

test("rows are asked for a page at a time, once, and again when that failed", async () => {
  const { queue, asked } = await listed(Array.from({ length: 250 }, (_, i) => i));
  const { fetch } = globalThis;
  globalThis.fetch = () => Promise.reject(new Error("away"));
  await assert.rejects(queue.ensure(120, 130));
  globalThis.fetch = fetch;
  await Promise.all([queue.ensure(120, 130), queue.ensure(150, 210)]);
  assert.equal(asked.length, 3);
  assert.equal(queue.rowAt(209)?.id, 209);
});

test("the list in view stands until the one that was asked for last has come", async () => {
  const { queue, going } = await listed([1, 2]);
  queue.index = 0;
  const early = queue.setFilter("text=a", () => null);
  const late = queue.setFilter("text=b", () => 2);
  assert.equal(queue.row?.id, 1);
  queue.decided(2, { decision: "accepted" });
  going[1]?.();
  assert.ok(await late);
  going[0]?.();
  assert.ok(!(await early));
  assert.deepEqual([queue.filter, queue.row?.id, queue.row?.decision], ["text=b", 2, "accepted"]);
});
