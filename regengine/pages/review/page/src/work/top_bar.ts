// The line at the top: which store, who reviews, how far, whether all is saved.

import type { Session } from "../types";
import { element, refill } from "./dom";
import { sentenceOf } from "./notices";
import type { Sending } from "./outbox";
import { count } from "./text";

const SENDING_WORDS: Record<Sending, string> = {
  saved: "All saved",
  saving: "Saving …",
  waiting: "Not saved yet; kept in this browser.",
};

export function topBar(host: HTMLElement, session: Session, buttons: HTMLElement) {
  const sending = element("span", { id: "sending", attributes: { role: "status" } });
  const progress = element("span", { id: "done" });
  const setSending = (state: Sending, why?: unknown): void => {
    sending.dataset.state = state;
    sending.textContent = why === undefined ? SENDING_WORDS[state] : `${SENDING_WORDS[state]} ${sentenceOf(why)}`;
  };
  refill(
    host,
    element("h1", {}, "regengine review"),
    element("span", { className: "store", title: session.store }, session.store),
    element("span", {}, count(session.frames, "frame")),
    progress,
    element("span", { className: "reviewer" }, `Reviewer: ${session.reviewer}`),
    session.readonly ? element("strong", { className: "badge" }, "read-only") : sending,
    buttons,
  );
  setSending("saved");
  return {
    setSending,
    setProgress: (decidedNow: number) => {
      progress.textContent = decidedNow === 0 ? "" : `${decidedNow} decided now`;
    },
  };
}
