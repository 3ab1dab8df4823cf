// What both views have in common: an OpenLayers map that the keyboard reaches, and its points.

import { defaults as defaultControls } from "ol/control/defaults";
import { add, type Coordinate, distance, rotate } from "ol/coordinate";
import { noModifierKeys, targetNotEditable } from "ol/events/condition";
import { defaults as defaultInteractions } from "ol/interaction/defaults";
import KeyboardPan from "ol/interaction/KeyboardPan";
import KeyboardZoom from "ol/interaction/KeyboardZoom";
import OlMap from "ol/Map";
import Overlay from "ol/Overlay";
import type View from "ol/View";
import type { Point, PointResidual, Side, ViewEvents, Work } from "../types";
import { element } from "../work/dom";
import { nearestCopy, planeToPixel, toLonLat } from "./planes";
import { createPointLayer, exaggeration, type Marker, markersOf, onSide } from "./points";

/** Who asked the system for less motion sees views jump where they would glide. */
const STILL = matchMedia("(prefers-reduced-motion: reduce)").matches;
export const SEEK_MS = STILL ? 0 : 150;
const ZOOM_MS = STILL ? 0 : 250;
const MARGIN_PX = 16; // in sight is what lies so far inside

export class Stage {
  readonly map: OlMap;
  markers: Marker[] = [];
  private readonly points;
  private readonly note = element("div", { className: "view-note" });
  private sentence = "";
  /** The cross that shows where the pointer is in the other view. */
  private readonly cross = new Overlay({
    element: element("div", { className: "view-cross", attributes: { "aria-hidden": "true" } }),
    positioning: "center-center",
    stopEvent: false,
  });

  constructor(
    readonly host: HTMLElement,
    readonly side: Side,
    readonly work: Work,
    readonly events: ViewEvents,
  ) {
    host.classList.add("view");
    if (!host.hasAttribute("tabindex")) host.tabIndex = 0;
    this.points = createPointLayer(side === "map");
    // While the arrow keys move a point or the photo, they do not pan
    const panning = () => work.selected === null && work.tool !== "place";
    this.map = new OlMap({
      target: host,
      layers: [this.points.layer],
      overlays: [this.cross],
      controls: defaultControls({
        attributionOptions: { collapsible: false },
        rotate: false,
        zoomOptions: { duration: ZOOM_MS },
      }),
      interactions: defaultInteractions({ doubleClickZoom: false, keyboard: false, zoomDuration: ZOOM_MS }).extend([
        new KeyboardZoom({ duration: ZOOM_MS }),
        new KeyboardPan({ condition: (event) => panning() && noModifierKeys(event) && targetNotEditable(event) }),
      ]),
    });
    host.addEventListener("keydown", (event) => {
      const at = this.view.getCenter();
      if (event.target !== host || work.tool !== "add" || !at) return;
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      event.stopPropagation();
      events.added(side, this.position(at));
    });
    host.append(this.note);
    this.map.on("postrender", () => {
      this.sayScale();
      const [x, y] = this.view.getCenter() ?? [];
      // What is in view, for reports of what went wrong, and for tests
      if (x !== undefined) host.dataset.view = [x, y, this.view.getResolution(), this.view.getRotation()].join(" ");
    });
  }

  get view() {
    return this.map.getView();
  }

  get size(): [number, number] {
    return (this.map.getSize() ?? [600, 400]) as [number, number];
  }

  /** [x, y] of the photo or [lon, lat], as the events tell it. */
  position(at: Coordinate): [number, number] {
    return this.side === "photo" ? planeToPixel(at) : toLonLat(at);
  }

  coordinateOf(point: Point): Coordinate {
    return onSide(this.side, point);
  }

  /** The copy of a coordinate that lies nearest to another one. */
  near(at: Coordinate, other: Coordinate): Coordinate {
    return this.side === "photo" ? at : nearestCopy(at, other[0]!);
  }

  setResiduals(residuals: (PointResidual | null)[]): void {
    this.markers = markersOf(this.side, this.work, residuals);
    this.points.set(this.markers);
    this.sayScale();
  }

  /** A sentence in the corner; "" for none. */
  tell(sentence: string): void {
    this.sentence = sentence;
    this.sayScale();
  }

  showCross(at: Coordinate | null): void {
    this.cross.setPosition(at ?? undefined);
  }

  /** A coordinate moved by so much on the screen, x right and y down. */
  shifted(at: Coordinate, dx: number, dy: number): Coordinate {
    const resolution = this.view.getResolution() ?? 1;
    return add(rotate([dx * resolution, -dy * resolution], this.view.getRotation()), at);
  }

  /** Positions on both sides of one, or of the view's middle, so many screen pixels apart. */
  ends(apart_px: number, about = this.view.getCenter()): [number, number][] {
    return about ? [-apart_px / 2, apart_px / 2].map((dx) => this.position(this.shifted(about, dx, 0))) : [];
  }

  /** Centre between two coordinates that lie so many screen pixels apart, or, for null, as far as they do now. */
  centreBetween(from: Coordinate, to: Coordinate, apart_px: number | null): void {
    this.view.setCenter([(from[0]! + to[0]!) / 2, (from[1]! + to[1]!) / 2]);
    if (apart_px) this.view.setResolution(distance(from, to) / apart_px);
  }

  /** A view that was fitted and not moved since stays fitted when its room changes. */
  fitting(fit: (view: View) => void) {
    let fitted = "";
    const where = () => [...(this.view.getCenter() ?? []), this.view.getResolution()].join(" ");
    /** Whether nobody has moved the view since it was fitted last. */
    const untouched = () => where() === fitted;
    const now = () => {
      this.map.updateSize();
      fit(this.view);
      fitted = where();
    };
    this.map.on("change:size", () => {
      if (untouched()) now();
    });
    return { now, untouched };
  }

  reveal(at: Coordinate): void {
    const near = this.near(at, this.view.getCenter() ?? at);
    const on = this.map.getPixelFromCoordinate(near) as Coordinate | null;
    const inside = on?.every((each, axis) => each > MARGIN_PX && each < this.size[axis]! - MARGIN_PX);
    if (!inside) this.view.animate({ center: near, duration: SEEK_MS });
  }

  private sayScale(): void {
    const resolution = this.view.getResolution();
    const factor = resolution ? exaggeration(this.markers, resolution) : 1;
    // Pixels of the screen to one of the photo; of the map, its own line tells
    const zoom = this.side === "map" || !resolution ? "" : `${Math.round(100 / resolution / window.devicePixelRatio)} %`;
    this.note.textContent = [this.sentence, factor > 1 ? `Residuals drawn ${factor} ×` : "", zoom].filter(Boolean).join(" · ");
  }
}
