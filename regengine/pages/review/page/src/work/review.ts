// A sitting of review: the queue walked, frames opened, decisions made and kept.

import type { Camera, Choice, Decision, Draft, Frame, Job, Layout, Neighbour, Place, Said, Session, Side, Tool } from "../types";
import type { Views } from "../views";
import type { Ghost } from "../views/ghost";
import { api, Kept } from "./api";
import { begun, isHeld, isIndependent, pointResidual } from "./draft";
import { Editor } from "./editor";
import { Evidence } from "./evidence";
import { delay } from "./link";
import { say, settled } from "./notices";
import { Outbox, type Sending } from "./outbox";
import { Queue } from "./queue";
import { pixels, sentence } from "./text";

/** Frames fetched ahead of the one in view. */
const AHEAD = 2;
const KEPT_FRAMES = 12;
const PLACING = "Drag the photo over the map; its round handles turn it, the square ones zoom it. ";
const AT_HORIZON =
  "Drag the dashed limb onto the photo's limb, first at the left, then at the right; then drag the ground to turn. ";
const TICK_MS = 100;
/** After so long a frame counts as seen, whatever its picture does. */
const LONGEST_DRAWING_MS = 5000;

export interface Opinion extends Ghost {
  /** Whose it is: "Ada's", "Hypothesis 2". */
  name: string;
  hypothesis: number | null;
}

export interface ReviewNeeds {
  session: Session;
  filter: string;
  changed: () => void;
  /** Another frame is in view, or none. */
  opened: () => void;
  queueChanged: () => void;
  sending: (sending: Sending, why?: unknown) => void;
  /** Whether another frame is on its way: what is written now would go to one or the other. */
  leaving: (leaving: boolean) => void;
}

export class Review {
  readonly session: Session;
  readonly editor: Editor;
  readonly queue: Queue;
  readonly outbox: Outbox;
  readonly evidence: Evidence;
  tool: Tool = "select";
  /** Whether the tool "place" moves the limb. */
  atHorizon = false;
  layout: Layout = "side";
  /** The view that had the focus last: arrow keys move points there. */
  side: Side = "photo";
  /** What the last search that found a camera said, by frame. */
  readonly found = new Map<number, Said>();
  /** Frames of the same camera, moments before and after the one in view. */
  neighbours: Neighbour[] = [];
  /** What is drawn over the work, to compare. */
  opinion: Opinion | null = null;
  views: Views | null = null;

  private readonly cache = new Kept(api.frame, KEPT_FRAMES);
  /** How long the frame has been in view; a page that nobody looks at does not count. */
  private inView_ms = 0;
  private opening = 0;
  /** Which frame the views show; another one is on its way while they differ. */
  private inView: number | null = null;
  private leaving = false;
  /** Resolves when what was asked to be snapped is, or is not. */
  private snapping: Promise<void> = Promise.resolve();
  /** Frames that were decided in this sitting, and those of them to go back to, the latest last. */
  private readonly decidedHere = new Set<number>();
  private lately: number[] = [];
  /** The work that the server was asked about last: whether it can be accepted. */
  private judged: Draft | null = null;
  private judging: Promise<void> = Promise.resolve();
  private unacceptable: string | null = null;
  /** The work that was refused last, which is told until it changes. */
  private refused: Draft | null = null;

  constructor(private readonly needs: ReviewNeeds) {
    this.session = needs.session;
    this.queue = new Queue(needs.filter);
    this.editor = new Editor({
      ask: api.solve,
      changed: () => this.changed(),
      save: (frame, draft) => this.outbox.put({ kind: "draft", frame, draft }),
      say,
    });
    this.editor.readonly = needs.session.readonly;
    window.setInterval(() => {
      if (!document.hidden) this.inView_ms += TICK_MS;
    }, TICK_MS);
    // What moved meanwhile is asked for then
    this.evidence = new Evidence(() => this.changed());
    this.outbox = new Outbox({
      store: needs.session.store,
      sending: needs.sending,
      outdated: (frame) => this.cache.forget(frame),
      refused: (frame) => {
        this.decidedHere.delete(frame);
        this.queue.undecided(frame);
        needs.queueChanged();
      },
      nameOf: (frame) => this.queue.nameOf(frame),
      open: (frame) => this.open(frame),
    });
  }

  get frame(): Frame | null {
    return this.editor.frame;
  }
  get decidedNow(): number {
    return this.decidedHere.size;
  }
  /** Why the frame in view cannot be accepted as it is; null where it can, or nobody knows yet. */
  get refusal(): string | null {
    return this.editor.problem ?? this.unacceptable;
  }
  /** Whether the map that placed the frame in view is at hand: for snapping and comparing. */
  get hasMap(): boolean {
    return this.frame !== null && this.session.maps[this.frame.reference] !== undefined;
  }
  /** Whether the engine can search for the frame in view: it begins on lights, or by day on a day map. */
  get canSearch(): boolean {
    return this.frame !== null && this.session.maps[this.frame.reference === "day" ? "day" : "lights"] !== undefined;
  }
  private get afterPlacing(): string {
    return this.canSearch ? "Then add points (P), or search from here (G)." : "Then add points (P).";
  }
  /** Town and country that the frame shows, as far as the server knows by now. */
  get placeName(): string | null {
    return this.frame?.place ?? this.queue.row?.place ?? null;
  }

  /** Send what an earlier page left, and show the first frame: this one, or the queue's. */
  async begin(frame: number | null): Promise<void> {
    this.outbox.begin();
    await this.queue.setFilter(this.queue.filter, () => null);
    this.needs.queueChanged();
    await (frame === null ? this.next() : this.open(frame));
  }

  async setFilter(filter: string): Promise<void> {
    if (!(await this.queue.setFilter(filter, () => this.frame?.id ?? null))) return;
    this.needs.queueChanged();
    if (this.frame === null) await this.next();
  }

  async openIndex(index: number): Promise<void> {
    const id = this.queue.ids[index];
    if (id === undefined) return;
    void this.queue.ensure(index, index + 1);
    await this.open(id);
  }

  async open(id: number): Promise<void> {
    const before = this.editor.draft;
    const unsent = this.outbox.unsentOf(id);
    const frame = await this.arrived(this.cache.get(id));
    // Work on the same frame that went on meanwhile is newer than what has come
    if (frame === undefined || (this.frame?.id === id && this.editor.draft !== before)) return;
    const mine = this.opening;
    this.outbox.loaded.set(id, frame.draft_version);
    this.queue.index = this.queue.indexOf(id) ?? this.queue.index;
    this.inView = null;
    this.unacceptable = null;
    this.views?.setPoints([], [], null, null);
    this.editor.open(frame, this.session.reviewer, unsent);
    // Where there is nothing to judge or to drag, pairs are what brings a camera
    this.tool = this.editor.draft.camera === null && !this.editor.readonly ? "add" : "select";
    this.atHorizon = false;
    this.neighbours = [];
    this.compare(null);
    this.views?.setTool(this.tool);
    this.inView_ms = 0;
    this.needs.opened();
    await Promise.race([this.views?.show(frame, this.editor.draft.camera), delay(LONGEST_DRAWING_MS)]);
    if (mine !== this.opening) return;
    this.inView = id;
    this.changed();
    // What the next frame needs comes first
    await this.fetchAhead(frame.id);
    if (mine !== this.opening) return;
    const { neighbours } = await api.neighbours(id);
    if (mine !== this.opening) return;
    this.neighbours = neighbours;
    this.needs.changed();
  }

  async next(): Promise<void> {
    const { queue } = this;
    const index = await this.arrived(queue.next());
    if (index === undefined) return;
    if (index !== null) return this.openIndex(index);
    if (this.frame !== null && (queue.row?.decision === null || !queue.toDo)) {
      say(queue.toDo ? "This is the only frame in this queue." : "That was the last frame of this list.");
      return;
    }
    this.opening += 1;
    queue.index = null;
    this.editor.close();
    this.needs.opened();
  }

  async previous(): Promise<void> {
    const { index } = this.queue;
    if (!index) say("This is the first frame of the queue.");
    else await this.openIndex(index - 1);
  }

  /** Decide and go on. The server is told behind the scenes, and again until it knows. */
  async decide(choice: Choice): Promise<void> {
    const frame = this.frame;
    if (frame === null) return;
    if (this.session.readonly) return say("This review is read-only: nothing can be decided.");
    // Nobody decides what has not been drawn, or what was left, however fast the keys
    if (this.inView !== frame.id || this.leaving) return;
    this.inView = null;
    await this.snapping;
    await this.editor.solved;
    if (choice === "accepted") await this.judging;
    if (this.frame !== frame) return say(`${frame.frame} is not decided: you left it before its camera was solved.`);
    const { draft } = this.editor;
    const refusal = choice === "accepted" ? this.refusal : null;
    if (refusal !== null) {
      this.inView = frame.id;
      this.refused = draft;
      return say(refusal, undefined, "refusal");
    }
    const own = frame.decisions.find((each) => each.reviewer === this.session.reviewer);
    const body = { ...draft, decision: choice, base: own?.revision ?? 0, seconds: this.inView_ms / 1000 };
    this.editor.decided();
    this.outbox.put({ kind: "decision", frame: frame.id, body });
    this.decidedHere.add(frame.id);
    this.lately = [...this.lately.filter((id) => id !== frame.id), frame.id];
    this.queue.decided(frame.id, { decision: choice, reviewers: Math.max(1, frame.reviewers), independent: true });
    this.needs.queueChanged();
    await this.next();
  }

  /** Draw a second opinion over what is worked on; null for none. */
  compare(opinion: Opinion | null): void {
    this.opinion = opinion;
    this.views?.setGhost(opinion);
    this.needs.changed();
  }

  takeOpinion(): void {
    const { opinion } = this;
    if (opinion === null) return;
    this.compare(null);
    this.editor.take(`took ${opinion.name}`, opinion.camera, opinion.points, opinion.hypothesis);
  }

  copyCamera({ camera, frame }: Neighbour): void {
    if (camera === null) return;
    this.setTool("select");
    this.editor.begin(`camera of ${frame}`, camera);
    this.views?.fit();
    say(`Camera copied from ${frame} and moved along the orbit. ${this.afterPlacing}`);
  }

  setTool(tool: Tool): void {
    if (tool !== "select" && this.session.readonly) return say("This review is read-only.");
    const begins = tool === "place" && this.editor.draft.camera === null;
    if (tool === "place" && !this.editor.beginCamera(null)) {
      say("Position unknown: click the point directly below the station on the map.");
      tool = "add";
    }
    this.tool = tool;
    this.atHorizon = false;
    if (tool !== "add") this.editor.leavePair();
    this.views?.setTool(tool);
    if (tool === "place") {
      if (begins) this.views?.fit();
      say(PLACING + this.afterPlacing);
      document.getElementById(this.layout === "through" ? "photo" : "map")?.focus();
    }
    this.needs.changed();
  }

  /** A photo of the limb: a camera at the horizon, moved by hand in the photo. */
  beginAtHorizon(): void {
    const { frame, editor, views } = this;
    if (frame === null || views === null) return;
    const began = editor.beginCamera(null);
    const { camera } = editor.draft;
    // Where nobody knows the nadir, the tool asks for it
    if (!began || camera === null) return this.setTool("place");
    editor.place(views.atHorizon(camera, frame), true);
    this.setLayout("through");
    this.setTool("place");
    this.atHorizon = true;
    document.getElementById("photo")?.focus();
    say(AT_HORIZON + this.afterPlacing);
    this.needs.changed();
  }

  setLayout(layout: Layout): void {
    this.layout = layout;
    if (layout !== "side") this.side = layout === "over" ? "map" : "photo";
    this.views?.setLayout(layout);
    this.needs.changed();
  }

  /** A point is right: as the engine measured it; where it did not, as photo and map agree near it. */
  async confirm(index: number, moves: Side = this.side): Promise<void> {
    const { editor } = this;
    const point = editor.draft.points[index];
    if (point === undefined || editor.readonly) return;
    if (point.off) return say(`Point ${index + 1} is switched off: switch it on first (Shift X).`);
    if (isIndependent(point, editor.draft.camera)) return say(`Point ${index + 1} is already confirmed.`);
    const pair = editor.measured(index);
    if (pair === null && !this.hasMap) {
      return say(`Point ${index + 1} only follows the camera: click or drag it to its place.`);
    }
    if (pair === null) return this.snap(index, moves);
    const { camera } = editor.draft;
    const off_px = camera === null ? null : (pointResidual(camera, pair)?.residual_px ?? null);
    const away = off_px === null || off_px < 1 ? "" : `, ${pixels(off_px)} from where your camera puts it`;
    editor.confirmMeasured(index);
    say(`Point ${index + 1} confirmed as measured by the engine${away}.`);
  }

  /** The camera's guess of the point that was just added is right, so far as photo and map agree. */
  async confirmGuess(): Promise<void> {
    const { awaited } = this.editor;
    if (awaited?.index != null) await this.confirm(awaited.index, awaited.side);
  }

  async snapSelected(): Promise<void> {
    const { selected } = this.editor;
    if (selected === null) say("Select a point first, with [ or ] or by a click.");
    else await this.snap(selected, this.side);
  }

  /** One after the other, from the camera of what was snapped before. */
  private snap(index: number, moves: Side): Promise<void> {
    const work = this.snapping.then(() => this.snapNow(index, moves));
    this.snapping = work.catch(() => undefined);
    return work;
  }

  private async snapNow(index: number, moves: Side): Promise<void> {
    const { frame, editor } = this;
    await editor.solved;
    const { camera, points } = editor.draft;
    const point = points[index];
    if (frame === null || this.frame !== frame || point === undefined) return;
    if (camera === null) return say("Snapping needs a camera: add pairs of points (P), or place the photo (M).");
    const answer = await api.snap(frame.id, { camera, point, moves });
    if (this.frame !== frame) return;
    // One that only follows the camera may have gone along with it; its pixel is what it was
    const now = editor.draft.points[index];
    const same = now === point || (now && !isHeld(now) && !isHeld(point) && now.x === point.x && now.y === point.y);
    if (!same) return say("The point has moved since: snap it again.");
    if (answer.found && answer.point !== null) {
      editor.snapped(index, answer.point);
      say(`Snapped: moved by ${answer.moved_px === null ? "a little" : `${answer.moved_px.toFixed(1)} px`}.`);
    } else {
      say(`Point ${index + 1} not confirmed: ${answer.why ?? "no match near it."}`);
    }
  }

  get canUndo(): boolean {
    return this.editor.canUndo || (!this.leaving && this.lately.some((id) => id !== this.frame?.id));
  }

  /** A step back; where there is none on this frame, the one that was decided last comes back. */
  async undo(): Promise<void> {
    const { editor } = this;
    if (editor.canUndo) return editor.undo();
    const last = this.lately.findLast((id) => id !== this.frame?.id);
    if (last === undefined) return;
    this.lately = this.lately.filter((id) => id !== last);
    await this.open(last);
    if (this.frame?.id !== last) return;
    say(`${this.frame.frame} reopened; your earlier decision stands until you change it.`);
  }

  /** What a search found from a camera: in view, or kept as the work on a frame that was left as it was. */
  async searched(id: number, start: Camera, result: NonNullable<Job["result"]>): Promise<void> {
    const { camera, points } = result;
    if (camera === null) return;
    this.found.set(id, result);
    if (this.frame?.id === id) {
      this.editor.take("searched", camera, points, null);
      this.views?.fit();
      return;
    }
    this.cache.forget(id);
    const frame = await this.cache.get(id);
    this.outbox.loaded.set(id, frame.draft_version);
    const { reviewer } = this.session;
    const work = begun(frame, reviewer);
    const decided = frame.decisions.some((each) => each.reviewer === reviewer);
    if (decided || JSON.stringify(work.camera) !== JSON.stringify(start)) return;
    this.outbox.put({ kind: "draft", frame: id, draft: { ...work, camera, points, hypothesis: null } });
  }

  goTo(place: Place): void {
    // In the photo there is no map that could go there
    if (this.layout === "through") this.setLayout("side");
    this.views?.goTo([place.lon, place.lat], 150);
  }

  /** All decisions on the frame in view; null where another one is in view when they come. */
  async history(): Promise<Decision[] | null> {
    const { frame } = this;
    if (frame === null) return null;
    const decisions = await api.history(frame.id);
    return this.frame === frame ? decisions : null;
  }

  /** What another view needs, when it has come; undefined where something else was asked for since. */
  private async arrived<T>(coming: Promise<T>): Promise<T | undefined> {
    const mine = ++this.opening;
    this.setLeaving(true);
    try {
      const come = await coming;
      return mine === this.opening ? come : undefined;
    } finally {
      if (mine === this.opening) this.setLeaving(false);
    }
  }

  private setLeaving(leaving: boolean): void {
    this.leaving = leaving;
    this.needs.leaving(leaving);
  }

  private async fetchAhead(id: number): Promise<void> {
    let index = this.queue.index;
    for (let step = 0; step < AHEAD; step += 1) {
      index = await this.queue.next(index);
      const row = index === null ? undefined : this.queue.rowAt(index);
      if (row === undefined || row.id === id || this.frame?.id !== id) return;
      this.views?.prefetch(await this.cache.get(row.id));
    }
  }

  private changed(): void {
    const { frame, draft, residuals, selected, solution, awaited } = this.editor;
    if (draft !== this.refused) settled("refusal");
    const comparable = frame?.photo && this.session.maps[frame.reference];
    // Pictures come first
    if (frame?.id === this.inView) this.evidence.look(comparable ? frame.id : null, draft.camera, draft.points);
    if (frame !== null && !this.editor.moving) this.judge(frame.id, draft);
    if (frame !== null && frame.id === this.inView) {
      this.views?.setCamera(draft.camera);
      this.views?.setPoints(draft.points, solution === null ? [] : residuals, selected, awaited);
    }
    this.needs.changed();
  }

  /** Ask the server, which has the rule, whether this can be accepted; it decides again when it is. */
  private judge(frame: number, draft: Draft): void {
    const { judged } = this;
    if (judged?.camera === draft.camera && judged.points === draft.points) return;
    this.judged = draft;
    this.judging = api.acceptance(frame, draft.camera, draft.points).then(
      ({ refusal }) => this.know(draft, refusal && sentence(refusal)),
      () => this.know(draft, null),
    );
  }

  private know(draft: Draft, refusal: string | null): void {
    if (draft !== this.judged) return;
    this.unacceptable = refusal;
    this.needs.changed();
  }
}
