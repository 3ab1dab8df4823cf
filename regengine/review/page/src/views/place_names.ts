// Names of places on the map: the largest in sight, as many as find room.

import Feature from "ol/Feature";
import PointGeometry from "ol/geom/Point";
import VectorLayer from "ol/layer/Vector";
import type OlMap from "ol/Map";
import VectorSource from "ol/source/Vector";
import CircleStyle from "ol/style/Circle";
import Fill from "ol/style/Fill";
import Stroke from "ol/style/Stroke";
import Style from "ol/style/Style";
import Text from "ol/style/Text";
import { wrapped } from "../geometry/earth";
import type { Place } from "../types";
import { textScale } from "./text_scale";
import { toLonLat, toMercator, WORLD_M } from "./mercator";

const MOST = 60;
const REST_MS = 120; // the map has stood still for so long
const AGAIN_MS = 5000; // after so long what did not come is asked for again

export function addPlaceNames(map: OlMap): VectorLayer {
  const source = new VectorSource<Feature>({ wrapX: true });
  const layer = new VectorLayer({
    source,
    className: "view-marks",
    zIndex: 20,
    declutter: true,
    style: (feature) => style(feature.get("place") as Place, textScale()),
  });
  let timer = 0;
  let loading: AbortController | null = null;
  map.addLayer(layer);
  const refreshAfter = (after_ms: number) => {
    window.clearTimeout(timer);
    timer = window.setTimeout(async () => {
      loading?.abort();
      loading = new AbortController();
      const { signal } = loading;
      if (!(await refresh(map, source, signal)) && !signal.aborted) refreshAfter(AGAIN_MS);
    }, after_ms);
  };
  map.on("moveend", () => refreshAfter(REST_MS));
  return layer;
}

/** Whether the names came. */
async function refresh(map: OlMap, source: VectorSource<Feature>, signal: AbortSignal): Promise<boolean> {
  const size = map.getSize();
  if (!size || size[0] === 0) return true;
  try {
    const bbox = box(map.getView().calculateExtent(size)).join(",");
    const answer = await fetch(`/api/places?bbox=${bbox}&limit=${MOST}`, { signal });
    if (!answer.ok) return false;
    const { places } = (await answer.json()) as { places: Place[] };
    source.clear(true);
    source.addFeatures(
      places.map((place) => {
        const geometry = new PointGeometry(toMercator([place.lon, place.lat]));
        return new Feature({ geometry, place });
      }),
    );
    return true;
  } catch {
    // Moved on, or the server is away: the names that stand there are still right
    return false;
  }
}

/** west, south, east, north of an extent; west > east across the antimeridian. */
export function box([left, bottom, right, top]: number[]): [number, number, number, number] {
  const [, south] = toLonLat([0, bottom!]);
  const [, north] = toLonLat([0, top!]);
  if (right! - left! >= WORLD_M) return [-180, south, 180, north];
  return [wrapped((left! * 360) / WORLD_M), south, wrapped((right! * 360) / WORLD_M), north];
}

const DOT = new CircleStyle({ radius: 2, fill: new Fill({ color: "#d6deea" }) });

/** What does not fit is left out: a higher index comes first. */
export function style(place: Place, scale: number): Style {
  const size = (place.population > 1e6 ? 13 : 12) * scale;
  return new Style({
    image: DOT,
    text: new Text({
      text: place.name,
      font: `${place.population > 1e6 ? 600 : 400} ${size}px system-ui, sans-serif`,
      fill: new Fill({ color: "#d6deea" }),
      stroke: new Stroke({ color: "rgba(0, 0, 0, 0.8)", width: 3 }),
      textAlign: "left",
      offsetX: 5,
      offsetY: -6,
    }),
    zIndex: place.population,
  });
}
