// A second opinion, drawn over what is worked on: its points as dashed rings, with lines to where the
// camera in view has them, and on the map the outline of the ground that it shows.

import Feature from "ol/Feature";
import LineString from "ol/geom/LineString";
import MultiLineString from "ol/geom/MultiLineString";
import PointGeometry from "ol/geom/Point";
import VectorLayer from "ol/layer/Vector";
import VectorSource from "ol/source/Vector";
import CircleStyle from "ol/style/Circle";
import Fill from "ol/style/Fill";
import Stroke from "ol/style/Stroke";
import Style from "ol/style/Style";
import Text from "ol/style/Text";
import type { Camera, Point } from "../types";
import { seenBy } from "./markers";
import { groundMesh, outline, wholePhoto } from "./mesh";
import { textScale } from "./point_layer";
import type { Stage } from "./stage";

const COLOUR = "#f08bff";
const HALO = new Stroke({ color: "rgba(0, 0, 0, 0.85)", width: 4 });
const LINE = [new Style({ stroke: HALO }), new Style({ stroke: new Stroke({ color: COLOUR, width: 1.6, lineDash: [6, 4] }) })];

function ring(number: string): Style[] {
  const scale = textScale();
  const shape = (stroke: Stroke) => new Style({ image: new CircleStyle({ radius: 9 * scale, stroke }) });
  const text = new Text({ text: number, font: `600 ${12 * scale}px system-ui, sans-serif`, fill: new Fill({ color: COLOUR }), stroke: HALO, offsetX: -15 * scale, offsetY: 9 * scale });
  return [shape(HALO), shape(new Stroke({ color: COLOUR, width: 2, lineDash: [4, 3] })), new Style({ text })];
}

/** Another camera with its points. */
export interface Ghost {
  camera: Camera;
  points: Point[];
}

export function createGhost(stages: Stage[]) {
  const layers = stages.map((stage) => {
    const source = new VectorSource<Feature>({ wrapX: stage.side === "map" });
    const layer = new VectorLayer({
      source,
      className: "view-marks",
      zIndex: 45,
      updateWhileInteracting: true,
      style: (feature) => (feature.get("number") ? ring(feature.get("number") as string) : LINE),
    });
    stage.map.addLayer(layer);
    return { stage, source };
  });
  let ghost: Ghost | null = null;
  let camera: Camera | null = null;

  const draw = () => {
    for (const { stage, source } of layers) {
      source.clear(true);
      if (!ghost) continue;
      const features: Feature[] = [];
      ghost.points.forEach((point, i) => {
        const at = stage.coordinateOf(point);
        const towards = camera && seenBy(stage.side, point, camera);
        if (towards) features.push(new Feature(new LineString([at, towards])));
        features.push(new Feature({ geometry: new PointGeometry(at), number: String(i + 1) }));
      });
      if (stage.side === "map") {
        const edges = outline(groundMesh(ghost.camera, wholePhoto(ghost.camera), 24, 16));
        features.push(new Feature(new MultiLineString(edges)));
      }
      source.addFeatures(features);
    }
  };
  return {
    set(next: Ghost | null): void {
      ghost = next;
      draw();
    },
    setCamera(next: Camera | null): void {
      camera = next;
      if (ghost) draw();
    },
  };
}
