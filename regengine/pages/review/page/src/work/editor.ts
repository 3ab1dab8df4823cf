// The frame in view and what a person makes of it: moves, steps back, the camera that follows.

import type { Awaited, Camera, Draft, Frame, Given, Hypothesis, LonLat, Point, PointResidual, Side } from "../types";
import * as drafts from "./draft";
import { inputs, LiveSolve, type Solution } from "./live_solve";
import { sentenceOf } from "./notices";

interface EditorNeeds {
  ask: ConstructorParameters<typeof LiveSolve>[0];
  changed: () => void;
  /** Work to keep; null where there is none beyond what is kept already. */
  save: (frame: number, draft: Draft | null) => void;
  say: (sentence: string) => void;
}

interface Step {
  /** What was done, in a few words. */
  what: string;
  draft: Draft;
  /** The camera that points are solved from: the engine's, a placed or a found one. Not the last
   *  solution, so that what is believed of the camera does not drift from drag to drag. */
  base: Camera | null;
}

export class Editor {
  frame: Frame | null = null;
  selected: number | null = null;
  solution: Solution | null = null;
  problem: string | null = null;
  readonly = false;

  private start: Draft = drafts.EMPTY;
  /** Steps back and forth: drafts are never changed, so a step is a reference. */
  private done: Step[] = [NOTHING];
  /** The number of the one in view; those after it were undone. */
  private at = 0;
  /** What a drag under way has made of the last step. */
  private dragged: Draft | null = null;
  /** The first click of a pair, and the point whose other half the camera guessed from it; null where
   *  it knows none. A click is where it was made: only a guess can be confirmed as it is. */
  private first: { side: Side; at: [number, number]; guess: number | null } | null = null;
  /** Points that were moved, as they were when a hand took them up. */
  private readonly taken = new WeakMap<Point, Point>();
  private readonly live: LiveSolve;

  constructor(private readonly needs: EditorNeeds) {
    this.live = new LiveSolve(
      needs.ask,
      (solution, last) => this.apply(solution, solution.camera, last),
      (error) => {
        this.problem = sentenceOf(error);
        needs.changed();
      },
    );
  }

  private get now(): Step {
    return this.done[this.at]!;
  }
  get draft(): Draft {
    return this.dragged ?? this.now.draft;
  }
  get moving(): boolean {
    return this.dragged !== null;
  }
  /** The click that the tool "add" waits for; null where any click is a first one. */
  get awaited(): Awaited | null {
    const { first } = this;
    return first && { side: first.side === "photo" ? "map" : "photo", index: first.guess };
  }
  get canUndo(): boolean {
    return this.at > 0;
  }
  get canRedo(): boolean {
    return this.at < this.done.length - 1;
  }
  /** What was done, oldest first, with what was undone; `at`: the number of the step in view. */
  get steps(): { what: string[]; at: number } {
    return { what: this.done.map(({ what }) => what), at: this.at };
  }
  /** Resolves when the camera is the one that the points say. */
  get solved(): Promise<void> {
    return this.live.idle;
  }

  /** Residuals: the solution's, else of held points against the camera. The others follow it, and have
   *  those of the pairs that the engine measured, where the camera is not the engine's. */
  get residuals(): (PointResidual | null)[] {
    const { camera, points } = this.draft;
    const own = camera !== null && drafts.sameCamera(camera, this.frame?.camera ?? null);
    return points.map((point, index) => {
      const solved = this.solution?.residuals.get(index);
      const pair = drafts.isHeld(point) || point.off ? point : own ? null : this.measured(index);
      return solved ?? (camera === null || pair === null ? null : drafts.pointResidual(camera, pair));
    });
  }

  /** `unsent`: work of an earlier page that had not reached the server. */
  open(frame: Frame, reviewer: string, unsent: Draft | null | undefined): void {
    const start = drafts.begun({ ...frame, draft: null }, reviewer);
    const draft = unsent === undefined ? drafts.begun(frame, reviewer) : (unsent ?? start);
    const hypothesis = frame.hypotheses.find((each) => each.rank === draft.hypothesis);
    this.reset(frame, start, { what: "opened", draft, base: hypothesis?.camera ?? draft.camera });
  }

  close(): void {
    this.reset(null, drafts.EMPTY, NOTHING);
  }

  private reset(frame: Frame | null, start: Draft, step: Step): void {
    Object.assign(this, { frame, start, done: [step], at: 0, selected: null });
    this.forget();
    this.needs.changed();
  }

  move(index: number, side: Side, at: [number, number], done: boolean): void {
    if (this.refused() || this.now.draft.points[index] === undefined) return;
    this.selected = index;
    this.first = null;
    // From the step before the drag, so that the way of the hand leaves no trace
    this.dragged = this.moved(index, side, this.inside(side, at));
    // The camera of the last answer until the next one comes, so that nothing jumps back
    const camera = this.solution?.camera;
    if (camera) this.dragged = drafts.follow(this.dragged, camera, this.frame);
    this.solve();
    if (!drafts.isHeld(this.draft.points[index]!)) this.release();
    if (done) this.settle(`moved ${index + 1} ${side === "photo" ? "in the photo" : "on the map"}`);
    else this.needs.changed();
  }

  /** The step before with a point moved; one that comes back to where a hand took it up is what it was:
   *  a way out and back tells nothing. */
  private moved(index: number, side: Side, at: [number, number]): Draft {
    const { draft } = this.now;
    const before = draft.points[index]!;
    const taken = this.taken.get(before) ?? before;
    const moved = drafts.movePoint(draft, index, side, at);
    const point = moved.points[index]!;
    this.taken.set(point, taken);
    return draft.camera !== null && drafts.apartPx(draft.camera, point, taken) < drafts.FOLLOWS_PX ? drafts.setPoint(draft, index, taken) : moved;
  }

  snapped(index: number, point: Point): void {
    const off = this.draft.points[index]?.off ? { off: true } : {};
    this.first = null;
    this.step(`snapped ${index + 1}`, drafts.setPoint(this.draft, index, { ...point, origin: "snap", ...off }));
    this.solve();
  }

  /** A click of the tool "add": a point where the camera is known, else half of a pair. */
  add(side: Side, at: [number, number]): void {
    if (this.refused() || this.frame === null) return;
    if (this.inside(side, at).some((each, i) => each !== at[i])) return this.needs.say("That is outside the photo.");
    if (this.draft.camera === null && !this.beginCamera(null) && side === "map") {
      // Where nobody knows the nadir, a click on the map says it
      const began = this.beginCamera(at);
      if (began && this.first === null) return this.needs.say(ABOVE);
    }
    const { first } = this;
    const { camera, points } = this.draft;
    const other = side === "photo" ? "on the map" : "in the photo";
    this.first = null;
    if (first !== null && first.side !== side) {
      this.selected = first.guess;
      if (first.guess === null) this.append(side, at, first.at, "person");
      else this.step(`clicked ${first.guess + 1}`, drafts.movePoint(this.draft, first.guess, side, at));
      return this.solve();
    }
    const twin = camera === null ? null : drafts.twinOf(camera, side, at);
    this.first = { side, at, guess: twin === null ? null : points.length };
    if (twin === null) {
      this.needs.changed();
      return this.needs.say(`Now click the same place ${other}.`);
    }
    this.append(side, at, twin, "engine");
    this.needs.say(`Point added. Click its place ${other}, or press Enter if the guess (✓) is right.`);
  }

  delete(index: number): void {
    const point = this.draft.points[index];
    if (this.refused() || point === undefined) return;
    const points = this.draft.points.filter((_, i) => i !== index);
    this.selected = points.length === 0 ? null : Math.min(index, points.length - 1);
    this.regroup(point, `deleted ${index + 1}`, { ...this.draft, points });
  }

  /** Switch a point off, so that it takes no part and does not count, or on again. */
  switchPoint(index: number): void {
    const { draft } = this;
    const point = draft.points[index];
    if (this.refused() || point === undefined) return;
    const next = drafts.switchPoint(draft, index);
    const followed = draft.camera === null ? next : drafts.follow(next, draft.camera, this.frame);
    this.regroup(point, `switched ${index + 1} ${point.off ? "on" : "off"}`, followed);
  }

  /** Other points count: without this one, or with it again. */
  private regroup(point: Point, what: string, draft: Draft): void {
    this.first = null;
    // Residuals, those on their way, too, go by the numbers that the points had
    this.live.stop();
    this.solution = null;
    this.step(what, draft);
    this.solve();
    if (drafts.isHeld(point)) this.release();
    this.needs.changed();
  }

  /** The pair that the engine measured, of a point that follows the camera; null where there is none. */
  measured(index: number): Point | null {
    const { points, camera } = this.draft;
    const point = points[index];
    if (this.frame === null || point === undefined || drafts.isIndependent(point, camera)) return null;
    return drafts.measuredAt(this.frame, point);
  }

  /** A person confirms a point as the engine measured it, wherever the camera has it by now. */
  confirmMeasured(index: number): void {
    const pair = this.measured(index);
    if (this.refused() || pair === null) return;
    this.first = null;
    this.step(`confirmed ${index + 1}`, drafts.setPoint(this.draft, index, { ...pair, origin: "confirmed" }));
    this.solve();
  }

  /** The next click of the tool "add" is a first one. */
  leavePair(): void {
    if (this.first === null) return;
    this.first = null;
    this.needs.changed();
  }

  fillUp(): void {
    if (!this.refused()) this.step("filled up to 4 points", drafts.fillUp(this.draft));
  }

  place(camera: Camera, done: boolean): void {
    if (this.refused()) return;
    this.forget();
    this.dragged = drafts.follow(this.now.draft, camera, this.frame);
    if (done) this.settle("placed by hand", camera);
    else this.needs.changed();
  }

  /** A camera to place by hand, where there is none. Without a nadir one has to be clicked. */
  beginCamera(nadir: LonLat | null): boolean {
    if (this.frame === null || this.refused()) return false;
    if (this.draft.camera !== null) return true;
    const camera = drafts.startCamera(this.frame, nadir, this.draft.given);
    if (camera === null) return false;
    this.step("first camera", { ...this.draft, camera, hypothesis: null }, camera);
    return true;
  }

  choose(hypothesis: Hypothesis): void {
    if (this.refused() || this.frame === null) return;
    const rank = this.frame.hypotheses.indexOf(hypothesis) + 1;
    this.replace(`hypothesis ${rank}`, drafts.choose(this.draft, this.frame, hypothesis), hypothesis.camera);
  }

  /** Another camera and points as a whole: what a search found, or what somebody decided. */
  take(what: string, camera: Camera | null, points: Point[], hypothesis: number | null): void {
    if (!this.refused()) this.replace(what, { ...this.draft, camera, points, hypothesis }, camera);
  }

  /** Another camera to begin with: its points are its guesses. */
  begin(what: string, camera: Camera): void {
    if (!this.refused()) this.replace(what, drafts.fillUp({ ...this.draft, camera, points: [], hypothesis: null }), camera);
  }

  private replace(what: string, draft: Draft, base: Camera | null): void {
    this.forget();
    this.selected = null;
    this.step(what, draft, base);
  }

  /** How the photo was taken, where its file does not tell. The camera follows, where points do not
   *  say otherwise. */
  give(change: Partial<Given>): void {
    const { frame } = this;
    if (frame === null || this.refused()) return;
    const told = { ...NOTHING_GIVEN, ...this.draft.given, ...change };
    const given = Object.values(told).some((each) => each !== null) ? told : null;
    const draft = { ...this.draft, given };
    const { base } = this.now;
    const placed = base !== null && (frame.camera !== null || draft.points.length > 0);
    let camera = placed ? base : (drafts.startCamera(frame, null, given) ?? base);
    if (placed && change.focal_px) camera = { ...base, focal_px: change.focal_px };
    this.forget();
    this.step("entered how it was taken", camera === null || camera === base ? draft : drafts.follow(draft, camera, frame), camera);
    if (camera !== base) this.solve();
  }

  /** Comment, tags, quality, place: said of the frame, not of its points. */
  tell(change: Partial<Pick<Draft, "comment" | "tags" | "quality" | "place">>): void {
    if (this.refused()) return;
    this.amend({ ...this.now.draft, ...change });
    this.keep();
    this.needs.changed();
  }

  undo(): void {
    this.goTo(this.at - 1);
  }
  redo(): void {
    this.goTo(this.at + 1);
  }

  /** Back or forth to a step, by its number among `steps`. */
  goTo(index: number): void {
    const step = this.done[index];
    if (step === undefined || index === this.at || this.refused()) return;
    // What was said of the frame has no steps
    const { comment, tags, quality, place } = this.draft;
    this.at = index;
    this.amend({ ...step.draft, comment, tags, quality, place });
    this.forget();
    if (this.selected !== null && this.selected >= this.draft.points.length) this.selected = null;
    this.keep();
    this.needs.changed();
  }

  select(index: number | null): void {
    this.selected = index;
    this.needs.changed();
  }

  /** The frame was decided: what is in view is what is kept. */
  decided(): void {
    this.start = this.draft;
  }

  /** The place itself on the map; in the photo, the nearest one that it shows. */
  private inside(side: Side, at: [number, number]): [number, number] {
    const { width_px, height_px } = this.frame ?? {};
    if (side === "map" || !width_px || !height_px) return at;
    return [Math.min(width_px - 0.5, Math.max(-0.5, at[0])), Math.min(height_px - 0.5, Math.max(-0.5, at[1]))];
  }

  /** Another point: on one side, and in the other view. */
  private append(side: Side, at: [number, number], twin: [number, number], by: "person" | "engine"): void {
    const [pixel, place] = side === "photo" ? [at, twin] : [twin, at];
    this.step(`added ${this.draft.points.length + 1}`, drafts.addPoint(this.draft, pixel, place, by));
    this.selected = this.draft.points.length - 1;
    this.needs.changed();
  }

  private solve(): void {
    const { base } = this.now;
    const { frame } = this;
    if (base === null || frame === null) return;
    this.problem = null;
    const from = inputs(this.draft);
    if (from.size === 0) this.solution = null;
    const placed = (this.draft.given?.nadir ?? frame.nadir) !== null;
    this.live.solve(frame.id, from, base, placed);
  }

  /** A point that the camera was solved from is gone: where it was the last one, so is that camera. */
  private release(): void {
    const { base } = this.now;
    if (base !== null && inputs(this.draft).size === 0) this.apply(null, base, true);
  }

  private apply(solution: Solution | null, camera: Camera, last: boolean): void {
    this.solution = solution;
    const followed = drafts.follow(this.draft, camera, this.frame);
    if (this.dragged !== null) {
      this.dragged = followed;
    } else {
      this.amend(followed);
      if (last) this.keep();
    }
    this.needs.changed();
  }

  private settle(what: string, base?: Camera): void {
    const { draft } = this;
    this.dragged = null;
    this.step(what, draft, base);
  }

  /** The same step said better, such as with the camera solved from its points. */
  private amend(draft: Draft): void {
    this.done = this.done.with(this.at, { ...this.now, draft });
  }

  /** A new step; what had been undone is gone. */
  private step(what: string, draft: Draft, base: Camera | null = this.now.base): void {
    this.done = [...this.done.slice(0, this.at + 1), { what, draft, base }].slice(-MAX_STEPS);
    this.at = this.done.length - 1;
    this.keep();
    this.needs.changed();
  }

  private keep(): void {
    const touched = JSON.stringify(this.draft) !== JSON.stringify(this.start);
    if (this.frame !== null) this.needs.save(this.frame.id, touched ? this.draft : null);
  }

  private forget(): void {
    this.live.stop();
    this.solution = null;
    this.problem = null;
    this.dragged = null;
    this.first = null;
  }

  private refused(): boolean {
    if (this.readonly) this.needs.say("This review is read-only: nothing can be changed.");
    return this.readonly;
  }
}

/** More steps than anybody goes back, and a bound to what is kept. */
const MAX_STEPS = 200;

const NOTHING_GIVEN: Given = { time_utc: null, nadir: null, focal_px: null };

const ABOVE = "The camera is now above this point. Move the photo over the map (M), or add pairs of points (P).";

const NOTHING: Step = { what: "", draft: drafts.EMPTY, base: null };
