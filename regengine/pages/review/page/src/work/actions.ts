// All that can be done by a key, in the order of the help.

import { byId } from "./dom";
import type { Action } from "./keys";
import { say, wait } from "./notices";
import type { Review } from "./review";
import type { SearchRun } from "./search_run";

const ARROWS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const PUSH_PX = 10;

interface ActionNeeds {
  review: Review;
  search: SearchRun;
  layers: { element: HTMLElement; toggle(): void; changeOpacity(step: number): void };
  setQueueHidden: (hidden: boolean) => void;
  /** The queue's field for names. */
  filter: () => void;
  help: () => void;
  sheet: () => void;
}

export function reviewActions(needs: ActionNeeds): Action[] {
  const { review, search, layers } = needs;
  const { editor } = review;
  const focus = (id: string): void => byId(id).focus();
  const hasFrame = (): boolean => review.frame !== null;
  const canEdit = (): boolean => hasFrame() && !editor.readonly;
  /** The tool "place" has these keys for itself. */
  const free = (): boolean => review.tool !== "place";
  const hasPoint = (): boolean => editor.selected !== null && free();
  const selected = (act: (index: number) => void) => (): void => {
    if (editor.selected !== null) act(editor.selected);
  };
  const step = (by: number) => (): void => {
    const n = editor.draft.points.length;
    if (n > 0) editor.select(editor.selected === null ? (by > 0 ? 0 : n - 1) : (editor.selected + by + n) % n);
  };
  const nudge = (key: string): void => {
    const far = key.startsWith("Shift+") ? PUSH_PX : 1;
    const [dx, dy] = ARROWS[key.replace("Shift+", "")] ?? [0, 0];
    if (editor.selected !== null) review.views?.nudge(editor.selected, review.side, far * dx, far * dy);
  };

  return [
    { id: "accept", keys: ["a"], label: "Accept and go on", group: "Decide", button: { bar: "Decide", text: "Accept", className: "accept" }, run: () => wait(review.decide("accepted")), enabled: canEdit, refusal: () => review.refusal },
    { id: "reject", keys: ["r"], label: "Reject and go on", group: "Decide", button: { bar: "Decide", text: "Reject", className: "reject" }, run: () => wait(review.decide("rejected")), enabled: canEdit },
    { id: "unsure", keys: ["u"], label: "Unsure; go on", group: "Decide", button: { bar: "Decide", text: "Unsure" }, run: () => wait(review.decide("unsure")), enabled: canEdit },
    { id: "skip", keys: ["-"], label: "Skip for now", group: "Decide", button: { bar: "Decide", text: "Skip" }, run: () => wait(review.next()), enabled: hasFrame },
    { id: "back", keys: ["b"], label: "Back to the frame before", group: "Decide", button: { bar: "Page", text: "Back" }, run: () => wait(review.previous()) },

    { id: "layout", keys: ["o"], label: "Photo over the map, or beside it", group: "Look", button: { bar: "View", text: "Over the map", pressed: () => review.layout === "over" }, run: () => review.setLayout(review.layout === "side" ? "over" : "side") },
    { id: "through", keys: ["h"], label: "The map drawn into the photo, with coast, towns and limb", group: "Look", button: { bar: "View", text: "In the photo", pressed: () => review.layout === "through" }, run: () => review.setLayout(review.layout === "through" ? "side" : "through") },
    { id: "lights", keys: ["l"], label: "Where the map stands out, on the photo: filled where the photo matches", group: "Look", run: () => review.views?.toggleMarks(), enabled: () => review.hasMap },
    { id: "flicker", keys: ["f"], label: "Hold: hide the photo, or swap it for the map", group: "Look", button: { bar: "View", text: "Flicker" }, run: () => review.views?.flicker(true), release: () => review.views?.flicker(false), enabled: hasFrame },
    { id: "full", keys: ["Shift+f"], label: "Full screen: only photo and map", group: "Look", button: { bar: "Page", text: "Full screen" }, run: () => fullScreen() },
    { id: "fit", keys: ["0"], label: "Show the whole photo and its ground", group: "Look", button: { bar: "View", text: "Fit" }, run: () => review.views?.fit(), enabled: hasFrame },
    { id: "one-to-one", keys: ["9"], label: "Show one photo pixel per screen pixel", group: "Look", run: () => review.views?.oneToOne(), enabled: hasFrame },
    { id: "layers", keys: ["d"], label: "Layers: what is shown, how opaque, how bright", group: "Look", button: { bar: "View", text: "Layers", pressed: () => !layers.element.hidden }, run: layers.toggle },
    { id: "fainter", keys: [","], label: "Make the photo over the map fainter", group: "Look", run: () => layers.changeOpacity(-0.1), enabled: free },
    { id: "stronger", keys: ["."], label: "Make the photo over the map stronger", group: "Look", run: () => layers.changeOpacity(0.1), enabled: free },
    { id: "find", keys: ["j"], label: "Jump to a place on the map", group: "Look", run: () => focus("find") },

    { id: "select", keys: ["v"], label: "Tool: select and drag points", group: "Points", button: { bar: "Tool", text: "Select", pressed: () => review.tool === "select" }, run: () => review.setTool("select") },
    { id: "add", keys: ["p"], label: "Tool: add points", group: "Points", button: { bar: "Tool", text: "Add", pressed: () => review.tool === "add" }, run: () => review.setTool("add"), enabled: canEdit },
    { id: "next-point", keys: ["]"], label: "Next point", group: "Points", run: step(1), enabled: free },
    { id: "previous-point", keys: ["["], label: "Previous point", group: "Points", run: step(-1), enabled: free },
    { id: "side", keys: ["w"], label: "Move points in the other view (photo or map)", group: "Points", run: () => switchSide(review) },
    { id: "nudge", keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], label: "Move the selected point by a pixel of the screen", group: "Points", run: nudge, enabled: () => canEdit() && hasPoint() },
    { id: "push", keys: ["Shift+ArrowLeft", "Shift+ArrowRight", "Shift+ArrowUp", "Shift+ArrowDown"], label: "Move it by ten", group: "Points", run: nudge, enabled: () => canEdit() && hasPoint() },
    { id: "hold", keys: ["k"], label: "Confirm the selected point: as measured by the engine, else snapped to the map", group: "Points", run: selected((index) => wait(review.confirm(index))), enabled: () => canEdit() && hasPoint() },
    { id: "confirm", keys: ["Enter"], label: "Confirm the guess (✓) of the point just added: it is snapped to the map", group: "Points", run: () => wait(review.confirmGuess()), enabled: () => canEdit() && editor.awaited?.index != null },
    { id: "fill", keys: ["="], label: "Fill up to four points from the camera", group: "Points", run: () => editor.fillUp(), enabled: canEdit },
    { id: "undo", keys: ["z", "Ctrl+z"], label: "Undo; with nothing to undo here, reopen the frame decided last", group: "Points", button: { bar: "Points", text: "Undo" }, run: () => wait(review.undo()), enabled: () => review.canUndo },
    { id: "redo", keys: ["y", "Ctrl+y", "Ctrl+Shift+z"], label: "Redo", group: "Points", button: { bar: "Points", text: "Redo" }, run: () => editor.redo(), enabled: () => editor.canRedo },
    { id: "delete", keys: ["Delete", "x", "Backspace"], label: "Delete the selected point", group: "Points", button: { bar: "Points", text: "Delete" }, run: selected((index) => editor.delete(index)), enabled: () => canEdit() && hasPoint() },
    { id: "switch", keys: ["Shift+x"], label: "Switch the selected point off (it does not count) or on", group: "Points", run: selected((index) => editor.switchPoint(index)), enabled: () => canEdit() && hasPoint() },
    { id: "snap", keys: ["n"], label: "Snap the selected point to the best match near it", group: "Points", button: { bar: "Points", text: "Snap" }, run: () => wait(review.snapSelected()), enabled: () => canEdit() && hasPoint() && review.hasMap },
    { id: "deselect", keys: ["Escape"], label: "Select nothing; tool select", group: "Points", run: () => { editor.select(null); review.setTool("select"); } },

    { id: "hypothesis", keys: ["1", "2", "3", "4", "5"], label: "The engine's proposal, its runner-up, and further hypotheses", group: "Camera", run: (key) => choose(review, Number(key)), enabled: canEdit },
    { id: "place", keys: ["m"], label: "Tool: move the photo over the map (arrows), turn it (, and .), zoom it ([ and ]); with Shift finer", group: "Camera", button: { bar: "Tool", text: "Place", pressed: () => review.tool === "place" && !review.atHorizon }, run: () => review.setTool("place"), enabled: canEdit },
    { id: "horizon", keys: ["Shift+h"], label: "Start at the horizon: drag the limb onto the photo's limb, then turn", group: "Camera", button: { bar: "Tool", text: "Horizon", pressed: () => review.atHorizon }, run: () => review.beginAtHorizon(), enabled: canEdit },
    { id: "search", keys: ["g"], label: "Search from here: the engine starts from this camera", group: "Camera", button: { bar: "Engine", text: "Search from here" }, run: () => searchFrom(review, search), enabled: () => canEdit() && review.canSearch && !search.running },

    { id: "quality", keys: ["i"], label: "Quality", group: "Write", run: focusQuality, enabled: canEdit },
    { id: "location", keys: ["Shift+l"], label: "Place and country", group: "Write", run: () => focus("place"), enabled: canEdit },
    { id: "tags", keys: ["t"], label: "Tags", group: "Write", run: () => focus("tags"), enabled: canEdit },
    { id: "comment", keys: ["c"], label: "Comment (Esc leaves a field)", group: "Write", run: () => focus("comment"), enabled: canEdit },

    { id: "sheet", keys: ["s"], label: "Sheet: many proposals together", group: "Page", button: { bar: "Page", text: "Sheet" }, run: needs.sheet },
    { id: "queue", keys: ["q"], label: "Show or hide the queue", group: "Page", button: { bar: "Page", text: "Queue", pressed: () => !byId("queue").hidden }, run: () => needs.setQueueHidden(!byId("queue").hidden) },
    { id: "filter", keys: ["/"], label: "Filter the queue by name", group: "Page", run: needs.filter },
    { id: "help", keys: ["?"], label: "All keys", group: "Page", button: { bar: "Page", text: "Keys" }, run: needs.help },
  ];
}

function choose(review: Review, rank: number): void {
  const hypothesis = review.frame?.hypotheses[rank - 1];
  if (hypothesis === undefined) return say(`This frame has no hypothesis ${rank}.`);
  review.editor.choose(hypothesis);
  review.views?.fit();
}

function searchFrom({ frame, editor }: Review, search: SearchRun): void {
  const { camera } = editor.draft;
  if (camera === null) say("Place the photo first (M), or click two pairs of points (P): the search starts from a camera.");
  else if (editor.solution?.answer?.too_few) say(editor.solution.answer.too_few);
  else if (frame !== null) wait(search.start(frame.id, camera));
}

function focusQuality(): void {
  (document.querySelector<HTMLElement>("[name=quality]:checked:not([value=''])") ?? byId("quality-3")).focus();
}

function switchSide(review: Review): void {
  const { layout } = review;
  const side = layout === "over" || (layout === "side" && review.side === "photo") ? "map" : "photo";
  byId(side).focus();
}

/** Photo and map alone, as large as the screen; where the browser refuses it, as large as its window. */
function fullScreen(): void {
  const on = document.body.classList.toggle("full");
  if (!on && document.fullscreenElement) void document.exitFullscreen();
  if (on) document.documentElement.requestFullscreen().catch(() => undefined);
}
