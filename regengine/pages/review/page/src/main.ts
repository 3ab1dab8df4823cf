// The review page: everything is made and tied together here.

import "./app.css";
import type { Frame, Session } from "./types";
import { createViews } from "./views";
import { reviewActions } from "./work/actions";
import { api, UNKNOWN } from "./work/api";
import { readAddress, remember, remembered, writeAddress } from "./work/browser";
import { decisionForm } from "./work/decision_form";
import { showHelp, showHistory } from "./work/dialogs";
import { button, byId, drawnOnChange, element, refill } from "./work/dom";
import { proposalShown } from "./work/draft";
import { showDecisions, showHypotheses, showNeighbours, showOpinion, showSteps } from "./work/frame_boxes";
import { hintFor, meant, showFacts, showVerdict } from "./work/frame_facts";
import { showGiven } from "./work/given_box";
import { buttons, Keyboard } from "./work/keys";
import { layersBox } from "./work/layers_box";
import { link } from "./work/link";
import { complain, say, sentenceOf, settled, wait } from "./work/notices";
import { placeBox } from "./work/place_box";
import { showPoints, sorting } from "./work/points_table";
import { queueFilters } from "./work/queue_filters";
import { QueueList } from "./work/queue_list";
import { type Opinion, Review } from "./work/review";
import { SearchRun } from "./work/search_run";
import { createSheet } from "./work/sheet";
import { count, lonLat } from "./work/text";
import type { Sending } from "./work/outbox";

const AWAY = "The review server does not answer. Your work is kept in this browser and sent when the server is back.";

const SENDING_WORDS: Record<Sending, string> = {
  saved: "All saved",
  saving: "Saving …",
  waiting: "Not saved yet; kept in this browser.",
};

function topBar(host: HTMLElement, session: Session, buttons: HTMLElement) {
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

function begin(session: Session): void {
  const address = readAddress(location.hash);
  const filters = queueFilters(byId("queue"), address.filter, (filter) => wait(review.setFilter(filter).then(remembersAddress)));
  const review: Review = new Review({
    session,
    filter: filters.start,
    changed: () => refresh(),
    opened: () => {
      settled("frame");
      remembersAddress();
      showFrame();
    },
    queueChanged: () => {
      list.show(review.queue);
      if (review.outbox.empty) wait(list.showProgress());
      bar.setProgress(review.decidedNow);
      if (review.decidedNow > 0) remember("hints", { decided: 1 });
    },
    sending: (sending, why) => {
      bar.setSending(sending, why);
      if (sending === "saved") wait(list.showProgress());
    },
    leaving: (leaving) => form.hold(leaving),
  });
  const { editor } = review;

  review.views = createViews(byId("photo"), byId("map"), session, {
    moved: (index, side, at, done) => editor.move(index, side, at, done),
    added: (side, at) => editor.add(side, at),
    selected: (index) => editor.select(index),
    confirmed: () => wait(review.confirmGuess()),
    placed: (camera, done) => editor.place(camera, done),
    cursor: (pixel, place) => {
      const parts = [
        pixel === null ? "" : `x ${pixel[0].toFixed(0)}, y ${pixel[1].toFixed(0)}`,
        place === null ? "" : lonLat(place),
      ];
      byId("cursor").textContent = parts.filter((part) => part !== "").join("  ·  ");
    },
  });
  for (const side of ["photo", "map"] as const) {
    byId(side).addEventListener("focusin", () => {
      review.side = side;
      refresh();
    });
  }

  const list = new QueueList(byId("queue"), (index) => wait(review.openIndex(index)));
  const form = decisionForm(editor, (place) => review.goTo(place));
  const layers = layersBox(review.views);
  const search = new SearchRun(
    (...found) => wait(review.searched(...found)),
    (sentence) => {
      searching.textContent = sentence ?? "";
      if (byId("progress").hidden !== (sentence === null)) {
        byId("progress").hidden = sentence === null;
        refresh();
      }
    },
  );
  const searching = element("span");
  byId("progress").hidden = true;
  byId("progress").append(searching, " ", button("Cancel", () => search.cancel()));
  const jump = placeBox({
    id: "find",
    label: "Go to",
    placeholder: "Town or lat, lon",
    coordinates: true,
    chosen: (place) => {
      if (place !== null) review.goTo(place);
    },
  });

  const sheet = createSheet({
    readonly: session.readonly,
    filter: () => review.queue.filter,
    open: (frame) => wait(review.open(frame)),
    ended: () => wait(review.setFilter(review.queue.filter)),
  });
  const keyboard: Keyboard = new Keyboard(
    reviewActions({
      review,
      search,
      layers,
      setQueueHidden,
      filter: () => {
        setQueueHidden(false);
        filters.focusText();
      },
      help: () => showHelp(keyboard),
      sheet: () => wait(sheet.show()),
    }),
  );
  keyboard.letters = remembered("keys", { letters: true }).letters;
  const { actions } = keyboard;
  const rows = (["Page", "View", "Tool", "Points", "Engine", "Decide"] as const).map((row) => buttons(actions, row));
  const [pageRow, view, tool, points, engine, decide] = rows.map((row) => row.element);
  const bar = topBar(byId("bar"), session, pageRow!);
  byId("tools").append(view!, jump.element, tool!, points!, layers.element);
  byId("engine").append(engine!);
  const missing = element("p", { id: "missing", className: "refusal", attributes: { role: "status" } });
  byId("choices").append(missing, decide!);
  byId("do-accept").setAttribute("aria-describedby", "missing");
  byId("about-frame").append(form.element);

  const compare = (opinion: Opinion): void => review.compare(opinion);
  const drawVerdict = drawnOnChange((frame: Frame) => {
    const decided = remembered("hints", { decided: 0 }).decided + review.decidedNow;
    const hint = hintFor(editor.draft, frame.reference, review.refusal, decided);
    showVerdict(byId("verdict"), frame, review, hint);
  });
  const drawHypotheses = drawnOnChange((frame: Frame) => showHypotheses(byId("hypotheses"), frame, review));
  const drawOpinion = drawnOnChange(() => showOpinion(byId("opinion"), review));
  const drawPoints = drawnOnChange(() => showPoints(byId("points"), review));
  const drawSteps = drawnOnChange(() => showSteps(byId("steps"), editor));
  const drawNeighbours = drawnOnChange(() => showNeighbours(byId("neighbours"), review));
  function refresh(): void {
    const { frame, evidence, refusal } = review;
    const { draft, solution, selected, problem } = editor;
    byId("views").dataset.side = review.side;
    if (frame !== null) {
      showFacts(byId("facts"), frame, draft.camera, review.placeName);
      drawVerdict(frame, review.found.get(frame.id), meant(frame, draft), refusal);
      drawHypotheses(frame, proposalShown(draft, frame));
      drawOpinion(review.opinion, draft.camera);
      drawPoints(draft, solution, selected, problem, evidence.version, sorting);
      drawSteps(JSON.stringify(editor.steps));
      drawNeighbours(review.neighbours);
    }
    missing.textContent = editor.readonly ? "" : refusal;
    for (const row of rows) row.refresh();
  }

  function showFrame(): void {
    const { frame } = review;
    byId("panel").hidden = frame === null;
    byId("empty").hidden = frame !== null;
    byId("empty").textContent = review.queue.ids.length === 0 ? "No frame matches this filter." : "All frames in this queue are decided.";
    document.title = frame === null ? "regengine review" : `${frame.frame} · regengine review`;
    list.show(review.queue);
    if (frame === null) return refresh();
    form.show(editor.draft, review.placeName);
    showDecisions(byId("decisions"), frame.decisions, compare, () =>
      wait(review.history().then((all) => all && showHistory(all, compare))),
    );
    showGiven(byId("given"), frame, editor, session.orbits, () => review.views?.fit());
    byId("frame").scrollTop = 0;
    refresh();
  }

  function setQueueHidden(hidden: boolean): void {
    byId("queue").hidden = hidden;
    document.body.classList.toggle("wide", hidden);
    remember("queue", { hidden });
    refresh();
  }

  function remembersAddress(): void {
    history.replaceState(null, "", writeAddress(review.frame?.id ?? null, review.queue.filter));
  }

  // Escape leaves the full screen, and asks nobody
  document.addEventListener("fullscreenchange", () => {
    if (!document.fullscreenElement) document.body.classList.remove("full");
    refresh();
  });
  window.addEventListener("beforeunload", (event) => {
    if (!review.outbox.empty) event.preventDefault();
  });
  window.addEventListener("hashchange", () => {
    const { frame } = readAddress(location.hash);
    if (frame !== null && frame !== review.frame?.id) wait(review.open(frame));
  });
  // What a tab that is gone had not sent
  window.addEventListener("focus", () => review.outbox.begin());
  link.begin({
    away: (why) => complain(why === "unknown" ? UNKNOWN : AWAY, undefined, "server"),
    back: (was) => {
      settled("server");
      if (was) say("The server is back.");
      review.views?.retry();
      list.draw();
      if (review.frame === null) wait(review.begin(null));
    },
  });
  keyboard.listen();
  setQueueHidden(remembered("queue", { hidden: false }).hidden);
  refresh();
  wait(
    (async () => {
      if (session.sheet) await sheet.show(); // before the frame behind it
      await review.begin(address.frame);
      list.showPictures();
      const facets = await api.facets();
      filters.setFacets(facets);
      form.setTags(Object.keys(facets.tag));
    })(),
  );
}

api.session().then(begin).catch((error: unknown) => complain(sentenceOf(error)));
