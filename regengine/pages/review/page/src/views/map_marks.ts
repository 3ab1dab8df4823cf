// Where the map stands out in view, drawn on the photo by the camera: rings, filled where the photo
// shows the same. They go along with the camera; whether they are met is asked for at rest.

import Feature from "ol/Feature";
import PointGeometry from "ol/geom/Point";
import VectorLayer from "ol/layer/Vector";
import VectorSource from "ol/source/Vector";
import CircleStyle from "ol/style/Circle";
import Fill from "ol/style/Fill";
import Stroke from "ol/style/Stroke";
import Style from "ol/style/Style";
import { lonLatToPixel } from "../geometry/camera";
import type { Camera, Frame, MapKind, MarksAnswer } from "../types";
import { pixelToPlane } from "./pixel_plane";
import type { Stage } from "./stage";

const REST_MS = 400;
const RADIUS_PX = 6;
const HALO = new Stroke({ color: "rgba(0, 0, 0, 0.8)", width: 4 });
const COLOUR = "#53e6c8";

export type AskMarks = (frame: number, camera: Camera, signal: AbortSignal) => Promise<MarksAnswer>;

const WHAT: Record<MapKind, string> = {
  lights: "brightest lights match a light in the photo",
  streets: "street patches match the photo",
  day: "ground patches match the photo",
};

const [MET, MISSED] = [true, false].map((met) => [
  new Style({ image: new CircleStyle({ radius: RADIUS_PX, stroke: HALO }) }),
  new Style({
    image: new CircleStyle({
      radius: RADIUS_PX,
      stroke: new Stroke({ color: COLOUR, width: 1.5 }),
      ...(met ? { fill: new Fill({ color: "rgba(83, 230, 200, 0.45)" }) } : {}),
    }),
  }),
]);

export function createMapMarks(stage: Stage, ask: AskMarks) {
  const source = new VectorSource<Feature>();
  const layer = new VectorLayer({
    source,
    className: "view-marks",
    zIndex: 40,
    visible: false,
    updateWhileInteracting: true,
    style: (feature) => (feature.get("met") ? MET : MISSED),
  });
  stage.map.addLayer(layer);
  let frame: Frame | null = null;
  let camera: Camera | null = null;
  let known: MarksAnswer | null = null;
  let fresh = false; // what is known is of this camera
  let timer = 0;
  let asking = new AbortController();

  const draw = () => {
    source.clear(true);
    stage.tell(layer.getVisible() ? told() : "");
    if (!camera || !known) return;
    const seen = camera;
    source.addFeatures(
      known.marks.flatMap(({ lon, lat, met }) => {
        const pixel = lonLatToPixel(seen, lon, lat);
        return pixel ? [new Feature({ geometry: new PointGeometry(pixelToPlane(pixel)), met: met && fresh })] : [];
      }),
    );
  };
  const told = (): string => {
    if (!frame) return "The photo or the map that placed it is missing";
    if (!camera) return "Place the photo first (M)";
    if (!known || !fresh) return "Comparing photo and map …";
    const { marks, chance } = known;
    if (marks.length === 0) return "The map shows nothing here";
    const met = marks.filter((each) => each.met).length;
    return `${met} of the map's ${marks.length} ${WHAT[frame.reference]}; ${Math.round(chance * marks.length)} would by chance`;
  };
  const compare = async (): Promise<void> => {
    if (frame === null || !camera) return;
    const mine = (asking = new AbortController());
    try {
      const answer = await ask(frame.id, camera, mine.signal);
      if (mine.signal.aborted) return;
      [known, fresh] = [answer, true];
      draw();
    } catch (error) {
      if (!mine.signal.aborted) stage.tell(error instanceof Error ? error.message : String(error));
    }
  };
  const look = () => {
    window.clearTimeout(timer);
    asking.abort();
    fresh = false;
    draw();
    if (layer.getVisible()) timer = window.setTimeout(() => void compare(), REST_MS);
  };
  return {
    /** `next`: of which frame; null where there is nothing to compare. */
    setCamera(next: Frame | null, seen: Camera | null): void {
      if (next === frame && seen === camera) return;
      if (next !== frame) known = null;
      [frame, camera] = [next, seen];
      look();
    },
    show(on: boolean): void {
      if (on === layer.getVisible()) return;
      layer.setVisible(on);
      look();
    },
  };
}
