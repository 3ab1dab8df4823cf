// What the pointer does with control points: take one and drag it, click to add, click to select.

import type { Coordinate } from "ol/coordinate";
import type MapBrowserEvent from "ol/MapBrowserEvent";
import PointerInteraction from "ol/interaction/Pointer";
import { CONFIRM_PX, markerAt } from "./markers";
import type { StageHooks } from "./stage";
import { textScale } from "./text_scale";

export interface PointToolHooks extends StageHooks {
  /** Coordinates of all points, each the copy nearest to where the pointer is. */
  positions(near: Coordinate): Coordinate[];
  /** The point whose place here is a guess, which a mark beside it confirms. */
  guess(): number | null;
}

const REACH_PX = { mouse: 13, touch: 26 };
/** A hand that trembles less, in pixels of the screen, clicks where a click is waited for. */
const TREMBLE_PX = 5;
const CONFIRM_REACH_PX = 12;

export class PointTool extends PointerInteraction {
  private held: { index: number; offset: Coordinate; from: Coordinate; dragged: boolean; moved: boolean } | null = null;

  constructor(private readonly hooks: PointToolHooks) {
    super();
  }

  /** What is held is not moved any more: it belongs to another frame. */
  letGo(): void {
    this.held = null;
  }

  override handleEvent(event: MapBrowserEvent): boolean {
    if (event.type === "click") this.click(event);
    return super.handleEvent(event);
  }

  override handleDownEvent(event: MapBrowserEvent): boolean {
    const index = this.hit(event);
    if (index === null || (event.originalEvent as PointerEvent).button > 0 || this.confirms(event)) return false;
    const at = this.hooks.positions(event.coordinate)[index]!;
    const offset = [at[0]! - event.coordinate[0]!, at[1]! - event.coordinate[1]!];
    this.held = { index, offset, from: event.pixel, dragged: false, moved: false };
    if (!this.hooks.awaited()) this.hooks.onSelect(index);
    return true;
  }

  override handleDragEvent(event: MapBrowserEvent): void {
    if (!this.held) return;
    this.held.dragged = true;
    const way = Math.hypot(event.pixel[0]! - this.held.from[0]!, event.pixel[1]! - this.held.from[1]!);
    if (!this.held.moved && this.hooks.awaited() && way < TREMBLE_PX) return;
    this.held.moved = true;
    this.hooks.onMove(this.held.index, this.target(event), false);
  }

  override handleUpEvent(event: MapBrowserEvent): boolean {
    const held = this.held;
    const target = held && this.target(event);
    this.held = null;
    if (held?.moved) this.hooks.onMove(held.index, target!, true);
    // Where the hand did not even tremble, a click follows
    else if (held?.dragged && this.hooks.awaited()) this.hooks.onAdd(event.coordinate);
    return false;
  }

  override handleMoveEvent(event: MapBrowserEvent): void {
    const over = this.confirms(event) || (this.hit(event) !== null && !this.hooks.awaited());
    event.map.getTargetElement()?.classList.toggle("over-point", over);
  }

  private target(event: MapBrowserEvent): Coordinate {
    const offset = this.held!.offset;
    return [event.coordinate[0]! + offset[0]!, event.coordinate[1]! + offset[1]!];
  }

  private hit(event: MapBrowserEvent): number | null {
    const pointer = event.originalEvent as PointerEvent;
    const reach = pointer.pointerType === "touch" ? REACH_PX.touch : REACH_PX.mouse;
    const onScreen = this.hooks
      .positions(event.coordinate)
      .map((at) => event.map.getPixelFromCoordinate(at) as Coordinate | null);
    return markerAt(event.pixel, onScreen, reach, this.hooks.selected());
  }

  /** Whether the pointer is on the mark beside a guess. */
  private confirms(event: MapBrowserEvent): boolean {
    const index = this.hooks.guess();
    if (index === null || !this.hooks.awaited()) return false;
    const at = this.hooks.positions(event.coordinate)[index];
    const on = at && (event.map.getPixelFromCoordinate(at) as Coordinate | null);
    if (!on) return false;
    const [right, down] = CONFIRM_PX.map((each) => each * textScale()) as [number, number];
    return Math.hypot(event.pixel[0]! - on[0]! - right, event.pixel[1]! - on[1]! - down) <= CONFIRM_REACH_PX * textScale();
  }

  private click(event: MapBrowserEvent): void {
    if (this.confirms(event)) return this.hooks.onConfirm();
    if (this.hooks.awaited()) return this.hooks.onAdd(event.coordinate);
    if (this.hit(event) !== null) return;
    if (this.hooks.adding()) this.hooks.onAdd(event.coordinate);
    else if (this.hooks.selected() !== null) this.hooks.onSelect(null);
  }
}
