import assert from "node:assert/strict";
import { test } from "node:test";
import { Queue } from "./queue";

/** A server whose answers come when they are let go, by the text that was asked for. */
function held() {
  const going: Record<string, () => void> = {};
  globalThis.fetch = (input) => {
    const text = new URL(String(input), "http://here").searchParams.get("text") ?? "";
    const frames = [{ id: text === "" ? 1 : 2, frame: `frame ${text}`, decision: null }];
    const answer = new Response(JSON.stringify({ total: 1, frames, named: true }));
    return new Promise((resolve) => (going[text] = () => resolve(answer)));
  };
  return going;
}

async function first(going: Record<string, () => void>): Promise<Queue> {
  const queue = new Queue({});
  const asked = queue.rows.ensure(0, 1);
  going[""]?.();
  await asked;
  queue.index = 0;
  return queue;
}

test("the list in view stands until another one has come", async () => {
  const going = held();
  const queue = await first(going);
  const asked = queue.setFilter({ text: "b" }, () => 2);
  assert.equal(queue.row?.id, 1);
  queue.decided(2, { decision: "accepted" });
  going["b"]?.();
  assert.ok(await asked);
  assert.deepEqual([queue.row?.id, queue.row?.decision], [2, "accepted"]);
});

test("of two lists the one that was asked for last is shown, whichever comes first", async () => {
  const going = held();
  const queue = await first(going);
  const early = queue.setFilter({ text: "b" }, () => null);
  const late = queue.setFilter({ text: "bc" }, () => null);
  going["bc"]?.();
  assert.ok(await late);
  going["b"]?.();
  assert.ok(!(await early));
  assert.equal(queue.filter.text, "bc");
});
