// What the page tells in passing: one sentence at a time, read aloud by screen readers.

import { ApiError } from "./api";
import { button, byId, element, refill } from "./dom";

export interface NoticeAction {
  label: string;
  run: () => void;
}

const SECONDS_SHOWN = 7;
let hiding = 0;

/** Show a sentence for a while, or until its cause went (`settled`). */
export function say(sentence: string, action?: NoticeAction, cause = ""): void {
  byId("said").dataset.cause = cause;
  show(byId("said"), sentence, action);
  window.clearTimeout(hiding);
  hiding = window.setTimeout(() => byId("said").replaceChildren(), 1000 * SECONDS_SHOWN);
}

/** Show what went wrong until it is put away, or its cause went (`settled`). */
export function complain(sentence: string, action?: NoticeAction, cause = ""): void {
  byId("wrong").dataset.cause = cause;
  show(byId("wrong"), sentence, action, () => byId("wrong").replaceChildren());
}

/** What was said for this cause is no longer so. */
export function settled(cause: string): void {
  for (const host of [byId("said"), byId("wrong")]) if (host.dataset.cause === cause) host.replaceChildren();
}

function show(host: HTMLElement, sentence: string, action?: NoticeAction, away?: () => void): void {
  const act = (run: () => void) => (): void => {
    host.replaceChildren();
    run();
  };
  refill(
    host,
    element("span", {}, sentence),
    action && button(action.label, act(action.run)),
    away && button("Close", away),
  );
}

export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What the outage of the server explains is told by one line, see `Link`. */
export function failed(error: unknown): void {
  if (!(error instanceof ApiError && error.away)) complain(sentenceOf(error), undefined, "frame");
}

export function wait(work: Promise<unknown>): void {
  void work.catch(failed);
}
