// Control points in a view: where they stand, where the camera would have them, and how they are drawn.

import { type Coordinate, distance } from "ol/coordinate";
import LineString from "ol/geom/LineString";
import Stroke, { type Options as StrokeOptions } from "ol/style/Stroke";
import Style from "ol/style/Style";
import { lonLatToPixel, pixelToLonLat } from "../geometry/camera";
import type { Camera, Origin, Point, PointResidual, Side, Work } from "../types";
import { MIN_SHOWN_PX } from "../work/text";
import { circle, createMarks, HALO, pointFeature, textOf, textScale } from "./marks";
import { lonNear, pixelToPlane, toMercator } from "./planes";

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

export function markersOf(side: Side, work: Omit<Work, "tool">, residuals: (PointResidual | null)[]): Marker[] {
  const { points, selected, awaited, camera } = work;
  return points.map((point, index) => {
    const residual = residuals[index] ?? null;
    return {
      index,
      point,
      residual,
      at: onSide(side, point),
      towards: residual && (side === "map" ? camera && onMap(point, camera) : pixelToPlane([point.x - residual.dx_px, point.y - residual.dy_px])),
      selected: selected === index,
      guess: awaited?.side === side && awaited.index === index,
    };
  });
}

export function onSide(side: Side, { x, y, lon, lat }: Point): Coordinate {
  return side === "photo" ? pixelToPlane([x, y]) : toMercator([lon, lat]);
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
  const styles: Style[] = [];
  if (marker.towards) {
    const end = [0, 1].map((axis) => marker.at[axis]! + (marker.towards![axis]! - marker.at[axis]!) * factor);
    const geometry = new LineString([marker.at, end]);
    for (const stroke of [{ color: HALO, width: 5 }, { color: colour, width: 2 }]) styles.push(new Style({ geometry, stroke: new Stroke(stroke) }));
  }
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
  const told = residual && residual.residual_px >= MIN_SHOWN_PX && (selected || residual.suspect);
  return told ? `${number} · ${residual.residual_px.toFixed(1)} px` : number;
}
