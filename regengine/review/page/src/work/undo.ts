// Steps back and forth: values are never changed, so a step is a reference.

export interface Steps<T> {
  readonly past: readonly T[];
  readonly now: T;
  readonly future: readonly T[];
}

/** More steps than anybody goes back, and a bound to what is kept. */
const MOST_STEPS = 200;

export function steps<T>(now: T): Steps<T> {
  return { past: [], now, future: [] };
}

/** A new step; what had been undone is gone. */
export function advance<T>(history: Steps<T>, next: T): Steps<T> {
  return { past: [...history.past, history.now].slice(-MOST_STEPS), now: next, future: [] };
}

/** The same step said better, such as with the camera solved from its points. */
export function amend<T>(history: Steps<T>, now: T): Steps<T> {
  return { ...history, now };
}

export function undo<T>(history: Steps<T>): Steps<T> {
  const last = history.past.at(-1);
  if (last === undefined) return history;
  return { past: history.past.slice(0, -1), now: last, future: [history.now, ...history.future] };
}

export function redo<T>(history: Steps<T>): Steps<T> {
  const next = history.future[0];
  if (next === undefined) return history;
  return { past: [...history.past, history.now], now: next, future: history.future.slice(1) };
}
