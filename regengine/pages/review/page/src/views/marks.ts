// Marks in a view: points and lines in a layer of their own, and how they are drawn.

import type { Coordinate } from "ol/coordinate";
import Feature from "ol/Feature";
import MultiLineString from "ol/geom/MultiLineString";
import PointGeometry from "ol/geom/Point";
import VectorLayer, { type Options } from "ol/layer/Vector";
import VectorSource from "ol/source/Vector";
import CircleStyle from "ol/style/Circle";
import Fill from "ol/style/Fill";
import Stroke, { type Options as StrokeOptions } from "ol/style/Stroke";
import Style from "ol/style/Style";
import Text, { type Options as TextOptions } from "ol/style/Text";

export const HALO = "rgba(0, 0, 0, 0.85)";

/** How much larger than usual the page's text is: marks on a canvas grow with it. */
export function textScale(): number {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) / 14 || 1;
}

/** A layer of features; `wrapX`: it repeats as the map does. */
export function createMarks(wrapX: boolean, options: Options) {
  const source = new VectorSource<Feature>({ wrapX });
  return {
    layer: new VectorLayer({ source, className: "view-marks", updateWhileInteracting: true, ...options }),
    show(features: Feature[]): void {
      source.clear(true);
      source.addFeatures(features);
    },
  };
}

export function pointFeature(at: Coordinate, said: object = {}): Feature {
  return new Feature({ geometry: new PointGeometry(at), ...said });
}

export function lineFeature(parts: Coordinate[][], said: object = {}): Feature {
  return new Feature({ geometry: new MultiLineString(parts), ...said });
}

export function lineStyle(stroke: StrokeOptions): Style {
  return new Style({ stroke: new Stroke(stroke) });
}

export function circle(radius: number, stroke: StrokeOptions | null, fill?: string, displacement = [0, 0]): CircleStyle {
  return new CircleStyle({
    radius,
    displacement,
    ...(stroke && { stroke: new Stroke(stroke) }),
    ...(fill && { fill: new Fill({ color: fill }) }),
  });
}

export function textOf(text: string, color: string, size_px: number, weight: number, more: TextOptions = {}): Text {
  return new Text({
    text,
    font: `${weight} ${size_px}px system-ui, sans-serif`,
    fill: new Fill({ color }),
    stroke: new Stroke({ color: HALO, width: weight < 600 ? 3 : 4 }),
    ...more,
  });
}
