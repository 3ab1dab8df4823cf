// Where the map stands out in view, drawn on the photo by the camera: rings, filled where the photo
// shows the same. They go along with the camera; whether they are met is asked for at rest.

import Style from "ol/style/Style";
import { lonLatToPixel } from "../geometry/camera";
import type { Camera, Frame, MapKind, MarksAnswer } from "../types";
import { api } from "../work/api";
import { atRest } from "../work/link";
import { sentenceOf } from "../work/notices";
import { circle, createMarks, HALO, pointFeature } from "./marks";
import { pixelToPlane } from "./planes";
import type { Stage } from "./stage";

const REST_MS = 400;
const RADIUS_PX = 6;
const COLOUR = "#53e6c8";

const WHAT: Record<MapKind, string> = {
  lights: "brightest lights match a light in the photo",
  streets: "street patches match the photo",
  day: "ground patches match the photo",
};

const [MET, MISSED] = ["rgba(83, 230, 200, 0.45)", undefined].map((fill) => [
  new Style({ image: circle(RADIUS_PX, { color: HALO, width: 4 }) }),
  new Style({ image: circle(RADIUS_PX, { color: COLOUR, width: 1.5 }, fill) }),
]);

export function createMapMarks(stage: Stage) {
  const rings = createMarks(false, { zIndex: 40, visible: false, style: (feature) => (feature.get("met") ? MET : MISSED) });
  const { layer } = rings;
  stage.map.addLayer(layer);
  let frame: Frame | null = null;
  let camera: Camera | null = null;
  let known: MarksAnswer | null = null;
  let fresh = false; // what is known is of this camera

  const draw = () => {
    stage.tell(layer.getVisible() ? told() : "");
    const seen = camera;
    rings.show(
      (known?.marks ?? []).flatMap(({ lon, lat, met }) => {
        const pixel = seen && lonLatToPixel(seen, lon, lat);
        return pixel ? [pointFeature(pixelToPlane(pixel), { met: met && fresh })] : [];
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
  const comparing = atRest(
    async (signal) => {
      if (frame === null || !camera) return;
      const answer = await api.marks(frame.id, camera, signal);
      if (signal.aborted) return;
      [known, fresh] = [answer, true];
      draw();
    },
    (error) => stage.tell(sentenceOf(error)),
  );
  const look = () => {
    comparing.stop();
    fresh = false;
    draw();
    if (layer.getVisible()) comparing.soon(REST_MS);
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
