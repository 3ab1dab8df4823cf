// Names of places on the map: the largest in sight, as many as find room.

import type { Extent } from "ol/extent";
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
import { textScale } from "./point_layer";
import { toLonLat, toMercator, WORLD_M } from "./mercator";

const MOST = 60;
const REST_MS = 120; // the map has stood still for so long
const AGAIN_MS = 5000; // after so long what did not come is asked for again

/** Gives their layer. */
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
  let asking = new AbortController();
  map.addLayer(layer);
  const lookAfter = (after_ms: number) => {
    window.clearTimeout(timer);
    timer = window.setTimeout(look, after_ms);
  };
  const look = async () => {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    const size = map.getSize();
    if (!size || size[0] === 0) return;
    try {
      const places = await placesIn(map.getView().calculateExtent(size), MOST, signal);
      source.clear(true);
      source.addFeatures(
        places.map((place) => new Feature({ geometry: new PointGeometry(toMercator([place.lon, place.lat])), place })),
      );
    } catch {
      // Moved on, or the server is away: the names that stand there are still right
      if (!signal.aborted) lookAfter(AGAIN_MS);
    }
  };
  map.on("moveend", () => lookAfter(REST_MS));
  return layer;
}

/** The largest places in an extent of the map. */
export async function placesIn(extent: Extent, most: number, signal: AbortSignal): Promise<Place[]> {
  const answer = await fetch(`/api/places?bbox=${box(extent).join(",")}&limit=${most}`, { signal });
  if (!answer.ok) throw new Error(answer.statusText);
  return ((await answer.json()) as { places: Place[] }).places;
}

/** west, south, east, north of an extent; west > east across the antimeridian. */
function box([left, bottom, right, top]: Extent): [number, number, number, number] {
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
