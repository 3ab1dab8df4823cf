// The tool that selects, drags and adds control points, and the loupe under the hand that drags one.

import { type Coordinate, distance } from "ol/coordinate";
import PointerInteraction from "ol/interaction/Pointer";
import type OlMap from "ol/Map";
import type MapBrowserEvent from "ol/MapBrowserEvent";
import { element } from "../work/dom";
import { textScale } from "./marks";
import { CONFIRM_PX, markerAt } from "./points";
import type { Stage } from "./stage";

const REACH_PX = { mouse: 13, touch: 26 };
/** A hand that trembles less, in pixels of the screen, clicks where a click is waited for. */
const TREMBLE_PX = 5;
const CONFIRM_REACH_PX = 12;

/** Gives what lets go of what is held. */
export function createPointTool(stage: Stage, drawLoupe?: DrawLoupe): () => void {
  const tool = new PointTool(stage, createLoupe(stage.map, drawLoupe));
  stage.map.addInteraction(tool);
  return () => tool.letGo();
}

class PointTool extends PointerInteraction {
  private held: { index: number; offset: Coordinate; from: Coordinate; dragged: boolean; moved: boolean } | null = null;

  constructor(
    private readonly stage: Stage,
    private readonly loupe: ReturnType<typeof createLoupe>,
  ) {
    super();
  }

  /** What is held is not moved any more: it belongs to another frame. */
  letGo(): void {
    this.held = null;
    this.loupe.show(null);
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
    const way = distance(event.pixel, this.held.from);
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
    this.loupe.show(done ? null : at);
  }

  private add({ coordinate }: MapBrowserEvent): void {
    this.stage.events.added(this.stage.side, this.stage.position(coordinate));
  }

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

const LOUPE_PX = 150;
const TIMES = 4;
const BESIDE_PX = 30; // from the point to the loupe's edge

/** Draws around a coordinate, in the middle of the canvas, so many times larger than on the screen. */
export type DrawLoupe = (context: CanvasRenderingContext2D, at: Coordinate, times: number) => void;

/** Without `draw`, what is on the screen is enlarged. */
function createLoupe(map: OlMap, draw?: DrawLoupe) {
  const canvas = element("canvas", { width: LOUPE_PX, height: LOUPE_PX });
  const loupe = element("div", { className: "view-loupe", hidden: true, attributes: { "aria-hidden": "true" } }, canvas);
  map.getTargetElement()!.append(loupe);
  let at: Coordinate | null = null;
  const refresh = () => {
    const on = at && (map.getPixelFromCoordinate(at) as [number, number] | null);
    if (!at || !on) return;
    const [x, y] = on;
    const [width] = map.getSize() ?? [0];
    const room = LOUPE_PX + BESIDE_PX;
    // Above on the right, where there is room; never under the hand
    const left = x + room < width! ? x + BESIDE_PX : x - room;
    const top = y - room > 0 ? y - room : y + BESIDE_PX;
    loupe.style.transform = `translate(${left}px, ${top}px)`;
    const context = canvas.getContext("2d")!;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, LOUPE_PX, LOUPE_PX);
    if (draw) return draw(context, at, TIMES);
    context.setTransform(TIMES, 0, 0, TIMES, LOUPE_PX / 2 - TIMES * x, LOUPE_PX / 2 - TIMES * y);
    const box = map.getViewport()!.getBoundingClientRect();
    for (const each of map.getViewport()!.querySelectorAll<HTMLCanvasElement>(".view-base canvas, .view-online canvas")) {
      const { left, top, width, height } = each.getBoundingClientRect();
      if (each.width > 0 && width > 0) context.drawImage(each, left - box.left, top - box.top, width, height);
    }
  };
  map.on("postrender", refresh);
  return {
    /** null: nothing is dragged. */
    show(next: Coordinate | null): void {
      const first = at === null;
      at = next;
      loupe.hidden = next === null;
      if (first) refresh(); // then each time that the point is drawn
    },
  };
}
