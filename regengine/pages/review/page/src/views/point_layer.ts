// The layer of control points of one view: numbered rings, residuals as lines, labels.

import Feature from "ol/Feature";
import LineString from "ol/geom/LineString";
import PointGeometry from "ol/geom/Point";
import VectorLayer from "ol/layer/Vector";
import VectorSource from "ol/source/Vector";
import CircleStyle from "ol/style/Circle";
import Fill from "ol/style/Fill";
import Stroke from "ol/style/Stroke";
import Style from "ol/style/Style";
import Text from "ol/style/Text";
import type { Origin } from "../types";
import { LEAST_SHOWN_PX } from "../work/text";
import { CONFIRM_PX, exaggeration, type Marker } from "./markers";

// Distinct also for those who see no difference between red and green; bright on a night photo.
const COLOURS: Record<Origin, string> = {
  engine: "#ffd24a",
  person: "#4cc9ff",
  snap: "#8df0a8",
  search: "#d7a6ff",
  confirmed: "#ffffff",
};
const SUSPECT = "#ff6b57";
const HALO = "rgba(0, 0, 0, 0.85)";
const CONFIRM = "#4cc9ff";
const OFF = "#9aa3b2";

/** How much larger than usual the page's text is: marks on a canvas grow with it. */
export function textScale(): number {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) / 14 || 1;
}

export function createPointLayer(wrapX: boolean) {
  let markers: Marker[] = [];
  let scale = 1;
  const source = new VectorSource({ wrapX });
  const layer = new VectorLayer({
    source,
    className: "view-marks",
    updateWhileAnimating: true,
    updateWhileInteracting: true,
    zIndex: 50,
    style: (feature, resolution) => {
      const marker = markers[feature.get("index") as number];
      return marker ? markerStyles(marker, exaggeration(markers, resolution), scale) : [];
    },
  });
  return {
    layer,
    set(next: Marker[]): void {
      markers = next;
      scale = textScale();
      source.clear(true);
      source.addFeatures(
        next.map(({ at, index }) => new Feature({ geometry: new PointGeometry(at), index })),
      );
    },
  };
}

function markerStyles(marker: Marker, factor: number, scale: number): Style[] {
  const colour = marker.off ? OFF : marker.suspect ? SUSPECT : COLOURS[marker.origin];
  const styles = marker.towards ? residualStyles(marker.at, marker.towards, factor, colour) : [];
  const ring = (radius: number, stroke: Stroke) =>
    new Style({ image: new CircleStyle({ radius: radius * scale, stroke }), zIndex: marker.selected ? 2 : 1 });
  styles.push(ring(8, new Stroke({ color: HALO, width: 5 })));
  styles.push(ring(8, new Stroke({ color: colour, width: 2.5, ...(marker.off ? { lineDash: [3, 4] } : {}) })));
  if (marker.selected) styles.push(ring(13, new Stroke({ color: "#ffffff", width: 2 })));
  styles.push(new Style({ image: new CircleStyle({ radius: 1.2, fill: new Fill({ color: colour }) }) }));
  if (marker.guess) styles.push(...confirmStyles(scale));
  styles.push(
    new Style({
      text: new Text({
        text: label(marker),
        font: `600 ${13 * scale}px system-ui, sans-serif`,
        fill: new Fill({ color: colour }),
        stroke: new Stroke({ color: HALO, width: 4 }),
        textAlign: "left",
        offsetX: (marker.selected ? 17 : 12) * scale,
        offsetY: -10 * scale,
      }),
      zIndex: marker.selected ? 2 : 1,
    }),
  );
  return styles;
}

/** A button beside the point that says: the guess is right. */
function confirmStyles(scale: number): Style[] {
  const [right, down] = CONFIRM_PX.map((each) => each * scale) as [number, number];
  const disc = new CircleStyle({
    radius: 10 * scale,
    displacement: [right, -down],
    fill: new Fill({ color: CONFIRM }),
    stroke: new Stroke({ color: HALO, width: 2 }),
  });
  const tick = new Text({
    text: "✓",
    font: `700 ${14 * scale}px system-ui, sans-serif`,
    fill: new Fill({ color: "#04121c" }),
    offsetX: right,
    offsetY: down,
  });
  return [new Style({ image: disc, zIndex: 3 }), new Style({ text: tick, zIndex: 4 })];
}

function label(marker: Marker): string {
  const number = `${marker.index + 1}`;
  const { residual_px, selected, suspect } = marker;
  // What would read 0.0 px is a camera that goes through its point
  const told = residual_px !== null && residual_px >= LEAST_SHOWN_PX && (selected || suspect);
  return told ? `${number} · ${residual_px.toFixed(1)} px` : number;
}

function residualStyles(at: number[], towards: number[], factor: number, colour: string): Style[] {
  const end = [0, 1].map((axis) => at[axis]! + (towards[axis]! - at[axis]!) * factor);
  const geometry = new LineString([at, end]);
  return [
    new Style({ geometry, stroke: new Stroke({ color: HALO, width: 5 }) }),
    new Style({ geometry, stroke: new Stroke({ color: colour, width: 2 }) }),
  ];
}
