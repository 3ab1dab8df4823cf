import assert from "node:assert/strict";
import { test } from "node:test";
import type { Draft } from "../types";
import { Outbox, type Item, type Sending, type Shelf } from "./outbox";

const draft = (comment: string): Draft => ({
  camera: null,
  points: [],
  hypothesis: null,
  comment,
  tags: [],
  quality: null,
  place: null,
});
const drafted = (frame: number, comment: string): Item => ({ kind: "draft", frame, draft: draft(comment) });
const decided = (frame: number): Item => ({
  kind: "decision",
  frame,
  body: { ...draft(""), decision: "accepted", base: 0, seconds: 1 },
});

function shelf(): Shelf & { kept: Map<string, string> } {
  const kept = new Map<string, string>();
  return {
    kept,
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, text) => void kept.set(key, text),
    removeItem: (key) => void kept.delete(key),
  };
}

function outbox(answer: (item: Item) => Promise<void>, on = shelf()) {
  const sent: Item[] = [];
  const refused: Item[] = [];
  const states: Sending[] = [];
  const box = new Outbox<void>({
    send: answer,
    sent: (item) => sent.push(item),
    refused: (item) => refused.push(item),
    passing: (error) => error instanceof Error && error.message === "later",
    changed: (state) => states.push(state),
    wait: () => Promise.resolve(),
    shelf: on,
    key: "box",
  });
  box.begin();
  return { box, sent, refused, states, on };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

test("what is put is kept before it is sent, and forgotten after", async () => {
  let let_go = () => {};
  const gate = new Promise<void>((resolve) => (let_go = resolve));
  const { box, on, sent } = outbox(() => gate);
  box.put(drafted(1, "a"));
  assert.match(on.kept.get("box") ?? "", /"comment":"a"/);
  assert.equal(box.draftOf(1)?.comment, "a");
  let_go();
  await settled();
  assert.equal(on.kept.size, 0);
  assert.equal(box.draftOf(1), undefined);
  assert.deepEqual(sent, [drafted(1, "a")]);
});

test("a later draft replaces one that waits, and a decision comes after what was drafted before", async () => {
  const { box, sent } = outbox(() => Promise.resolve());
  box.put(drafted(1, "a"));
  box.put(drafted(1, "b"));
  box.put(drafted(2, "other"));
  box.put(drafted(1, "c"));
  box.put(decided(1));
  await settled();
  assert.deepEqual(sent, [drafted(1, "a"), drafted(2, "other"), decided(1)]);
});

test("a server that is away is tried until it is back; nothing is lost and the order kept", async () => {
  let away = 5;
  const { box, sent, states } = outbox(async () => {
    away -= 1;
    if (away > 0) throw new Error("later");
  });
  box.put(decided(1));
  box.put(decided(2));
  await settled();
  assert.deepEqual(sent, [decided(1), decided(2)]);
  assert.ok(states.includes("waiting"));
  assert.equal(states.at(-1), "saved");
});

test("what a closed page left is sent by the next one", async () => {
  const on = shelf();
  const never = outbox(() => new Promise(() => {}), on);
  never.box.put(decided(7));
  never.box.put(drafted(8, "left"));
  const next = outbox(() => Promise.resolve(), on);
  await settled();
  assert.deepEqual(next.sent, [decided(7), drafted(8, "left")]);
});

test("what a tab that is gone left is sent, but no draft that is older than this tab's work", async () => {
  let away = true;
  const { box, sent } = outbox(async () => {
    if (away) await settled();
  });
  box.put(drafted(1, "newer"));
  assert.deepEqual(box.adopt(JSON.stringify([drafted(1, "older"), decided(2), drafted(3, "left")])), [2, 3]);
  away = false;
  await settled();
  await settled();
  assert.deepEqual(sent, [drafted(1, "newer"), decided(2), drafted(3, "left")]);
});

test("what is refused is reported and holds nothing up; damaged left-overs are dropped", async () => {
  const on = shelf();
  on.kept.set("box", "{no json");
  const { box, refused, sent } = outbox(async (item) => {
    if (item.frame === 1) throw new Error("bad request");
  }, on);
  box.put(decided(1));
  box.put(decided(2));
  await settled();
  assert.deepEqual(refused, [decided(1)]);
  assert.deepEqual(sent, [decided(2)]);
});
