// Control points in a view: where they stand, where the camera would have them, how they are drawn, and
// what the pointer does with them.

import { type Coordinate, distance } from "ol/coordinate";
import LineString from "ol/geom/LineString";
import PointerInteraction from "ol/interaction/Pointer";
import type OlMap from "ol/Map";
import type MapBrowserEvent from "ol/MapBrowserEvent";
import Stroke, { type Options as StrokeOptions } from "ol/style/Stroke";
import Style from "ol/style/Style";
import { lonLatToPixel, pixelToLonLat } from "../geometry/camera";
import type { Camera, Origin, Point, PointResidual, Side, Work } from "../types";
import { element } from "../work/dom";
import { LEAST_SHOWN_PX } from "../work/text";
import { circle, createMarks, HALO, pointFeature, textOf, textScale } from "./marks";
import { lonNear, pixelToPlane, toMercator } from "./planes";
import type { Stage } from "./stage";

export interface Marker {
  index: number;
  point: Point;
  residual: PointResidual | null;
  at: Coordinate;
  /** Where the camera puts it; null where nobody knows. */
  towards: Coordinate | null;
  selected: boolean;
  /** Guessed by the camera; a click or Enter decides. */
  guess: boolean;
}

/** Where the mark that confirms a guess lies beside its point, in pixels of the screen. */
export const CONFIRM_PX: [number, number] = [30, 20];

/** The control points in one view. */
export function markersOf(side: Side, work: Omit<Work, "tool">, residuals: (PointResidual | null)[]): Marker[] {
  const { points, selected, awaited, camera } = work;
  return points.map((point, index) => {
    const residual = residuals[index] ?? null;
    return {
      index,
      point,
      residual,
      at: onSide(side, point),
      towards: residual && (side === "photo" ? inPhoto(point, residual) : camera && onMap(point, camera)),
      selected: selected === index,
      guess: awaited?.side === side && awaited.index === index,
    };
  });
}

/** Where a control point lies in a view. */
export function onSide(side: Side, { x, y, lon, lat }: Point): Coordinate {
  return side === "photo" ? pixelToPlane([x, y]) : toMercator([lon, lat]);
}

function inPhoto({ x, y }: Point, { dx_px, dy_px }: PointResidual): Coordinate {
  return pixelToPlane([x - dx_px, y - dy_px]);
}

function onMap({ x, y, lon }: Point, camera: Camera): Coordinate | null {
  const seen = pixelToLonLat(camera, x, y);
  return seen && toMercator([lonNear(seen[0], lon), seen[1]]);
}

/** Where a camera has the other half of a point, in a view; null where it has it nowhere. */
export function seenBy(side: Side, point: Point, camera: Camera): Coordinate | null {
  if (side === "map") return onMap(point, camera);
  const pixel = lonLatToPixel(camera, point.lon, point.lat);
  return pixel && pixelToPlane(pixel);
}

const FACTORS = [100, 50, 20, 10, 5, 2, 1];
const LONGEST_PX = 40; // on the screen

/** How many times the residuals are drawn too long, so that small ones show. */
export function exaggeration(markers: Marker[], unitsPerScreenPixel: number): number {
  const longest = Math.max(0, ...markers.map(({ at, towards }) => (towards ? distance(at, towards) : 0)));
  if (longest * FACTORS[0]! < unitsPerScreenPixel) return 1; // not to be seen at any rate
  return FACTORS.find((factor) => (longest * factor) / unitsPerScreenPixel <= LONGEST_PX) ?? 1;
}

/** The marker under a place of the screen: the nearest within reach, the selected one first. */
export function markerAt(
  screen: Coordinate,
  positions: (Coordinate | null)[],
  reach_px: number,
  selected: number | null,
): number | null {
  const distances = positions.map((at) => (at ? distance(at, screen) : Infinity));
  if (selected !== null && distances[selected]! <= reach_px) return selected;
  const nearest = Math.min(...distances);
  return nearest <= reach_px ? distances.indexOf(nearest) : null;
}

// Distinct also for those who see no difference between red and green; bright on a night photo.
const COLOURS: Record<Origin, string> = {
  engine: "#ffd24a",
  person: "#4cc9ff",
  snap: "#8df0a8",
  search: "#d7a6ff",
  confirmed: "#ffffff",
};
const SUSPECT = "#ff6b57";
const CONFIRM = "#4cc9ff";
const OFF = "#9aa3b2";

export function createPointLayer(wrapX: boolean) {
  let markers: Marker[] = [];
  let scale = 1;
  const marks = createMarks(wrapX, {
    updateWhileAnimating: true,
    zIndex: 50,
    style: (feature, resolution) => {
      const marker = markers[feature.get("index") as number];
      return marker ? markerStyles(marker, exaggeration(markers, resolution), scale) : [];
    },
  });
  return {
    layer: marks.layer,
    set(next: Marker[]): void {
      markers = next;
      scale = textScale();
      marks.show(next.map(({ at, index }) => pointFeature(at, { index })));
    },
  };
}

function markerStyles(marker: Marker, factor: number, scale: number): Style[] {
  const { off, origin } = marker.point;
  const colour = off ? OFF : marker.residual?.suspect ? SUSPECT : COLOURS[origin];
  const styles = marker.towards ? residualStyles(marker.at, marker.towards, factor, colour) : [];
  const zIndex = marker.selected ? 2 : 1;
  const ring = (radius: number, stroke: StrokeOptions) => new Style({ image: circle(radius * scale, stroke), zIndex });
  styles.push(ring(8, { color: HALO, width: 5 }));
  styles.push(ring(8, { color: colour, width: 2.5, ...(off ? { lineDash: [3, 4] } : {}) }));
  if (marker.selected) styles.push(ring(13, { color: "#ffffff", width: 2 }));
  styles.push(new Style({ image: circle(1.2, null, colour) }));
  if (marker.guess) styles.push(...confirmStyles(scale));
  const place = { textAlign: "left", offsetX: (marker.selected ? 17 : 12) * scale, offsetY: -10 * scale } as const;
  styles.push(new Style({ text: textOf(label(marker), colour, 13 * scale, 600, place), zIndex }));
  return styles;
}

/** A button beside the point that says: the guess is right. */
function confirmStyles(scale: number): Style[] {
  const [right, down] = CONFIRM_PX.map((each) => each * scale) as [number, number];
  const disc = circle(10 * scale, { color: HALO, width: 2 }, CONFIRM, [right, -down]);
  const tick = textOf("✓", "#04121c", 14 * scale, 700, { stroke: new Stroke({ width: 0 }), offsetX: right, offsetY: down });
  return [new Style({ image: disc, zIndex: 3 }), new Style({ text: tick, zIndex: 4 })];
}

function label(marker: Marker): string {
  const number = `${marker.index + 1}`;
  const { residual, selected } = marker;
  // What would read 0.0 px is a camera that goes through its point
  const told = residual && residual.residual_px >= LEAST_SHOWN_PX && (selected || residual.suspect);
  return told ? `${number} · ${residual.residual_px.toFixed(1)} px` : number;
}

function residualStyles(at: number[], towards: number[], factor: number, colour: string): Style[] {
  const end = [0, 1].map((axis) => at[axis]! + (towards[axis]! - at[axis]!) * factor);
  const geometry = new LineString([at, end]);
  return [
    new Style({ geometry, stroke: new Stroke({ color: HALO, width: 5 }) }),
    new Style({ geometry, stroke: new Stroke({ color: colour, width: 2 }) }),
  ];
}

const REACH_PX = { mouse: 13, touch: 26 };
/** A hand that trembles less, in pixels of the screen, clicks where a click is waited for. */
const TREMBLE_PX = 5;
const CONFIRM_REACH_PX = 12;

export class PointTool extends PointerInteraction {
  private held: { index: number; offset: Coordinate; from: Coordinate; dragged: boolean; moved: boolean } | null = null;

  constructor(private readonly stage: Stage) {
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

export const LOUPE_PX = 150;
const TIMES = 4;
const BESIDE_PX = 30; // from the point to the loupe's edge

/** Draws around a coordinate, in the middle of the canvas, so many times larger than on the screen. */
export type DrawLoupe = (context: CanvasRenderingContext2D, at: Coordinate, times: number) => void;

/** Without `draw`, what is on the screen is enlarged. */
export function createLoupe(map: OlMap, draw?: DrawLoupe) {
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
    if (draw) draw(context, at, TIMES);
    else enlarged(map, context, x, y);
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

function enlarged(map: OlMap, context: CanvasRenderingContext2D, x: number, y: number): void {
  const box = map.getViewport()!.getBoundingClientRect();
  context.setTransform(TIMES, 0, 0, TIMES, LOUPE_PX / 2 - TIMES * x, LOUPE_PX / 2 - TIMES * y);
  const canvases = map.getViewport()!.querySelectorAll<HTMLCanvasElement>(".view-base canvas, .view-online canvas");
  for (const each of Array.from(canvases)) {
    const { left, top, width, height } = each.getBoundingClientRect();
    if (each.width > 0 && width > 0) context.drawImage(each, left - box.left, top - box.top, width, height);
  }
}
