// What is known without the photo: the point below, the track, the ground in sight; and the
// outline of what the photo shows.

import type { Coordinate } from "ol/coordinate";
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
import { ecefToGeodetic, greatCircleKm } from "../geometry/earth";
import type { Camera, Frame, LonLat } from "../types";
import { toMercator, unwrappedLine } from "./mercator";
import { groundMesh, outline as outlineOf, wholePhoto } from "./mesh";

const TEXT = { font: "12px system-ui, sans-serif", fill: new Fill({ color: "#c8d4e6" }) };
const HALO = new Stroke({ color: "rgba(0, 0, 0, 0.85)", width: 3 });

function pointStyle(text: string, colour: string): Style {
  return new Style({
    image: new CircleStyle({ radius: 4, fill: new Fill({ color: colour }), stroke: HALO }),
    text: new Text({ ...TEXT, text, stroke: HALO, textAlign: "left", offsetX: 8 }),
  });
}

/** Of the nadir by orbit and the solved one; farther apart, both are named. */
const SAME_PLACE_KM = 50;

const SOURCES: Record<string, string> = { tle: "TLE", option: "given" };

const STYLES = {
  track: new Style({ stroke: new Stroke({ color: "#8fb3d9", width: 1.5, lineDash: [8, 5] }) }),
  horizon: new Style({ stroke: new Stroke({ color: "#7d8ba3", width: 1.5, lineDash: [2, 5] }) }),
  outline: new Style({ stroke: new Stroke({ color: "#ffb454", width: 1.8 }) }),
  below: pointStyle("nadir", "#ffb454"),
};

export function createSurroundings() {
  const [known, shown] = [new VectorSource<Feature>({ wrapX: true }), new VectorSource<Feature>({ wrapX: true })];
  let ofFrame: Feature[] = [];
  let ofCamera: Feature[] = [];
  let prior: LonLat | null = null;
  let nadir: LonLat | null = null;
  const refresh = () => {
    known.clear(true);
    // Two names of one place would lie over each other: the dot stays
    const isNear = prior !== null && nadir !== null && greatCircleKm(prior, nadir) < SAME_PLACE_KM;
    for (const each of ofFrame) {
      if (each.get("kind") === "prior") each.setStyle(pointStyle(isNear ? "" : each.get("name"), "#8fb3d9"));
    }
    known.addFeatures(ofFrame);
    shown.clear(true);
    shown.addFeatures(ofCamera);
  };
  const [track, outline] = [known, shown].map(
    (source) =>
      new VectorLayer({
        source,
        className: "view-marks",
        zIndex: 30,
        updateWhileInteracting: true,
        style: (feature) => STYLES[feature.get("kind") as keyof typeof STYLES],
      }),
  ) as [VectorLayer, VectorLayer];
  return {
    layers: { track, outline },
    setFrame(frame: Frame | null): void {
      ofFrame = frame ? frameFeatures(frame) : [];
      prior = frame?.nadir ? [frame.nadir.lon, frame.nadir.lat] : null;
      refresh();
    },
    setCamera(camera: Camera | null): void {
      ofCamera = camera ? cameraFeatures(camera) : [];
      nadir = camera ? nadirOf(camera) : null;
      refresh();
    },
  };
}

function frameFeatures(frame: Frame): Feature[] {
  const features: Feature[] = [];
  if (frame.track.length > 1) features.push(line("track", frame.track));
  if (frame.horizon.length > 2) features.push(line("horizon", [...frame.horizon, frame.horizon[0]!]));
  if (frame.nadir) {
    const nadir = dot("prior", [frame.nadir.lon, frame.nadir.lat]);
    nadir.set("name", `prior nadir (${SOURCES[frame.nadir.source] ?? frame.nadir.source})`);
    features.push(nadir);
  }
  return features;
}

function cameraFeatures(camera: Camera): Feature[] {
  const edges = outlineOf(groundMesh(camera, wholePhoto(camera), 24, 16));
  return [
    new Feature({ geometry: new MultiLineString(edges), kind: "outline" }),
    dot("below", nadirOf(camera)),
  ];
}

function nadirOf(camera: Camera): LonLat {
  const { lon, lat } = ecefToGeodetic(camera.position_ecef_m);
  return [lon, lat];
}

function line(kind: string, places: LonLat[]): Feature {
  const along: Coordinate[] = unwrappedLine(places);
  return new Feature({ geometry: new LineString(along), kind });
}

function dot(kind: string, place: LonLat): Feature {
  return new Feature({ geometry: new PointGeometry(toMercator(place)), kind });
}
