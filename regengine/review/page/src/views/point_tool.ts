// What the pointer does with control points: take one and drag it, click to add, click to select.

import type { Coordinate } from "ol/coordinate";
import type MapBrowserEvent from "ol/MapBrowserEvent";
import PointerInteraction from "ol/interaction/Pointer";
import { markerAt } from "./markers";

export interface PointToolHooks {
  /** Coordinates of all points, each the copy nearest to where the pointer is. */
  positions(near: Coordinate): Coordinate[];
  selected(): number | null;
  adding(): boolean;
  onSelect(index: number | null): void;
  onMove(index: number, at: Coordinate, done: boolean): void;
  onAdd(at: Coordinate): void;
}

const REACH_PX = { mouse: 13, touch: 26 };

export class PointTool extends PointerInteraction {
  private held: { index: number; offset: Coordinate; moved: boolean } | null = null;

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
    if (index === null || (event.originalEvent as PointerEvent).button > 0) return false;
    const at = this.hooks.positions(event.coordinate)[index]!;
    const offset = [at[0]! - event.coordinate[0]!, at[1]! - event.coordinate[1]!];
    this.held = { index, offset, moved: false };
    this.hooks.onSelect(index);
    return true;
  }

  override handleDragEvent(event: MapBrowserEvent): void {
    if (!this.held) return;
    this.held.moved = true;
    this.hooks.onMove(this.held.index, this.target(event), false);
  }

  override handleUpEvent(event: MapBrowserEvent): boolean {
    if (this.held?.moved) this.hooks.onMove(this.held.index, this.target(event), true);
    this.held = null;
    return false;
  }

  override handleMoveEvent(event: MapBrowserEvent): void {
    const over = this.hit(event) !== null;
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

  private click(event: MapBrowserEvent): void {
    if (this.hit(event) !== null) return;
    if (this.hooks.adding()) this.hooks.onAdd(event.coordinate);
    else if (this.hooks.selected() !== null) this.hooks.onSelect(null);
  }
}
