// The handles by which the tool "place" takes the photo: round ones turn, square ones zoom.

import Feature from "ol/Feature";
import PointGeometry from "ol/geom/Point";
import VectorLayer from "ol/layer/Vector";
import VectorSource from "ol/source/Vector";
import CircleStyle from "ol/style/Circle";
import Fill from "ol/style/Fill";
import RegularShape from "ol/style/RegularShape";
import Stroke from "ol/style/Stroke";
import Style from "ol/style/Style";
import type { Camera } from "../types";
import { handles } from "./placing";

const fill = new Fill({ color: "#ffb454" });
const stroke = new Stroke({ color: "#10141b", width: 2 });
const STYLES = {
  turn: new Style({ image: new CircleStyle({ radius: 8, fill, stroke }) }),
  zoom: new Style({
    image: new RegularShape({ points: 4, radius: 9, angle: Math.PI / 4, fill, stroke }),
  }),
};

export interface PlaceHandles {
  layer: VectorLayer;
  /** null hides them. */
  set(camera: Camera | null): void;
}

export function createPlaceHandles(): PlaceHandles {
  const source = new VectorSource<Feature>({ wrapX: true });
  const layer = new VectorLayer({
    source,
    className: "view-marks",
    zIndex: 60,
    updateWhileInteracting: true,
    style: (feature) => STYLES[feature.get("kind") as keyof typeof STYLES],
  });
  return {
    layer,
    set(camera) {
      source.clear(true);
      if (!camera) return;
      const all = handles(camera);
      source.addFeatures(
        all.map(({ kind, at }) => new Feature({ geometry: new PointGeometry(at), kind })),
      );
    },
  };
}
