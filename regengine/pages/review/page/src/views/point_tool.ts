// What the pointer does with control points: take one and drag it, click to add, click to select.

import type { Coordinate } from "ol/coordinate";
import type MapBrowserEvent from "ol/MapBrowserEvent";
import PointerInteraction from "ol/interaction/Pointer";
import type { Side, ViewEvents, Work } from "../view_types";
import { CONFIRM_PX, markerAt, type Marker } from "./markers";
import { textScale } from "./point_layer";

const REACH_PX = { mouse: 13, touch: 26 };
/** A hand that trembles less, in pixels of the screen, clicks where a click is waited for. */
const TREMBLE_PX = 5;
const CONFIRM_REACH_PX = 12;

/** The view that points are moved in. */
interface Host {
  readonly host: HTMLElement;
  readonly side: Side;
  readonly work: Work;
  readonly events: ViewEvents;
  readonly markers: Marker[];
  readonly loupe: { show(at: Coordinate | null): void };
  near(at: Coordinate, other: Coordinate): Coordinate;
  position(at: Coordinate): [number, number];
}

export class PointTool extends PointerInteraction {
  private held: { index: number; offset: Coordinate; from: Coordinate; dragged: boolean; moved: boolean } | null = null;

  constructor(private readonly stage: Host) {
    super();
  }

  /** What is held is not moved any more: it belongs to another frame. */
  letGo(): void {
    this.held = null;
  }

  /** Whether the next click here completes a pair: it counts where it is made. */
  private get awaited(): boolean {
    const { tool, awaited } = this.stage.work;
    return tool === "add" && awaited?.side === this.stage.side;
  }

  override handleEvent(event: MapBrowserEvent): boolean {
    if (event.type === "click") this.click(event);
    return super.handleEvent(event);
  }

  override handleDownEvent(event: MapBrowserEvent): boolean {
    const index = this.hit(event);
    if (index === null || (event.originalEvent as PointerEvent).button > 0 || this.confirms(event)) return false;
    const at = this.stage.near(this.stage.markers[index]!.at, event.coordinate);
    const offset = [at[0]! - event.coordinate[0]!, at[1]! - event.coordinate[1]!];
    this.held = { index, offset, from: event.pixel, dragged: false, moved: false };
    if (!this.awaited) this.stage.events.selected(index);
    return true;
  }

  override handleDragEvent(event: MapBrowserEvent): void {
    if (!this.held) return;
    this.held.dragged = true;
    const way = Math.hypot(event.pixel[0]! - this.held.from[0]!, event.pixel[1]! - this.held.from[1]!);
    if (!this.held.moved && this.awaited && way < TREMBLE_PX) return;
    this.held.moved = true;
    this.move(this.held, event, false);
  }

  override handleUpEvent(event: MapBrowserEvent): boolean {
    const { held } = this;
    this.held = null;
    if (held?.moved) this.move(held, event, true);
    // Where the hand did not even tremble, a click follows
    else if (held?.dragged && this.awaited) this.add(event);
    return false;
  }

  override handleMoveEvent(event: MapBrowserEvent): void {
    const over = this.confirms(event) || (this.hit(event) !== null && !this.awaited);
    this.stage.host.classList.toggle("over-point", over);
  }

  private move({ index, offset }: { index: number; offset: Coordinate }, { coordinate }: MapBrowserEvent, done: boolean): void {
    const { stage } = this;
    const at = [coordinate[0]! + offset[0]!, coordinate[1]! + offset[1]!];
    stage.events.moved(index, stage.side, stage.position(at), done);
    stage.loupe.show(done ? null : at);
  }

  private add({ coordinate }: MapBrowserEvent): void {
    this.stage.events.added(this.stage.side, this.stage.position(coordinate));
  }

  /** Where a coordinate is on the screen. */
  private onScreen(event: MapBrowserEvent, at: Coordinate): Coordinate | null {
    return event.map.getPixelFromCoordinate(this.stage.near(at, event.coordinate)) as Coordinate | null;
  }

  private hit(event: MapBrowserEvent): number | null {
    const pointer = event.originalEvent as PointerEvent;
    const reach = pointer.pointerType === "touch" ? REACH_PX.touch : REACH_PX.mouse;
    const onScreen = this.stage.markers.map(({ at }) => this.onScreen(event, at));
    return markerAt(event.pixel, onScreen, reach, this.stage.work.selected);
  }

  /** Whether the pointer is on the mark beside a guess. */
  private confirms(event: MapBrowserEvent): boolean {
    const guess = this.awaited && this.stage.markers.find((each) => each.guess);
    const on = guess && this.onScreen(event, guess.at);
    if (!on) return false;
    const [right, down] = CONFIRM_PX.map((each) => each * textScale()) as [number, number];
    return Math.hypot(event.pixel[0]! - on[0]! - right, event.pixel[1]! - on[1]! - down) <= CONFIRM_REACH_PX * textScale();
  }

  private click(event: MapBrowserEvent): void {
    const { work, events } = this.stage;
    if (this.confirms(event)) return events.confirmed();
    if (this.awaited) return this.add(event);
    if (this.hit(event) !== null) return;
    if (work.tool === "add") this.add(event);
    else if (work.selected !== null) events.selected(null);
  }
}
