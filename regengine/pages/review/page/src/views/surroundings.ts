// What is known without the photo: the point below, the track, the ground in sight; and the
// outline of what the photo shows.

import type Feature from "ol/Feature";
import type { FeatureLike } from "ol/Feature";
import Style from "ol/style/Style";
import { ecefToLonLat, greatCircleKm } from "../geometry/earth";
import type { Camera, Frame, LonLat } from "../types";
import { groundOutline } from "./ground";
import { circle, createMarks, HALO, lineFeature, lineStyle, pointFeature, textOf } from "./marks";
import { toMercator, unwrappedLine } from "./planes";

/** Of the nadir by orbit and the solved one; farther apart, both are named. */
const SAME_PLACE_KM = 50;

const SOURCES: Record<string, string> = { tle: "TLE", option: "given" };

const STYLES = {
  track: lineStyle({ color: "#8fb3d9", width: 1.5, lineDash: [8, 5] }),
  horizon: lineStyle({ color: "#7d8ba3", width: 1.5, lineDash: [2, 5] }),
  outline: lineStyle({ color: "#ffb454", width: 1.8 }),
};

export function createSurroundings() {
  const style = (feature: FeatureLike) => STYLES[feature.get("kind") as keyof typeof STYLES];
  const [track, outline] = [createMarks(true, { zIndex: 30, style }), createMarks(true, { zIndex: 30, style })];
  let frame: Frame | null = null;
  let camera: Camera | null = null;
  const refresh = () => {
    const solved = camera && ecefToLonLat(camera.position_ecef_m);
    const prior: LonLat | null = frame?.nadir ? [frame.nadir.lon, frame.nadir.lat] : null;
    // Two names of one place would lie over each other: the dot stays
    const isNear = prior !== null && solved !== null && greatCircleKm(prior, solved) < SAME_PLACE_KM;
    const source = frame?.nadir?.source ?? "";
    const name = isNear ? "" : `prior nadir (${SOURCES[source] ?? source})`;
    const { track: past, horizon: [...around] } = frame ?? { track: [], horizon: [] };
    if (around.length > 2) around.push(around[0]!);
    const lines = [lineFeature([unwrappedLine(past)], { kind: "track" }), lineFeature([unwrappedLine(around)], { kind: "horizon" })];
    track.show([...lines, ...(prior ? [dot(prior, name, "#8fb3d9")] : [])]);
    const shown = camera ? [lineFeature(groundOutline(camera), { kind: "outline" })] : [];
    outline.show([...shown, ...(solved ? [dot(solved, "nadir", "#ffb454")] : [])]);
  };
  return {
    layers: { track: track.layer, outline: outline.layer },
    setFrame(next: Frame | null): void {
      frame = next;
      refresh();
    },
    setCamera(next: Camera | null): void {
      camera = next;
      refresh();
    },
  };
}

function dot(place: LonLat, text: string, colour: string): Feature {
  const feature = pointFeature(toMercator(place));
  const image = circle(4, { color: HALO, width: 3 }, colour);
  feature.setStyle(new Style({ image, text: textOf(text, "#c8d4e6", 12, 400, { textAlign: "left", offsetX: 8 }) }));
  return feature;
}
