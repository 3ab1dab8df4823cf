// Names of places on the map: the largest in sight, as many as find room.

import type { Extent } from "ol/extent";
import type VectorLayer from "ol/layer/Vector";
import type OlMap from "ol/Map";
import Style from "ol/style/Style";
import { wrapped } from "../geometry/earth";
import type { Place } from "../types";
import { api } from "../work/api";
import { atRest } from "../work/link";
import { circle, createMarks, pointFeature, textOf, textScale } from "./marks";
import { toLonLat, toMercator, WORLD_M } from "./planes";

const MAX_PLACES = 60;
const REST_MS = 120; // the map has stood still for so long
export const AGAIN_MS = 5000; // after so long what did not come is asked for again

export function addPlaceNames(map: OlMap): VectorLayer {
  const names = createMarks(true, {
    zIndex: 20,
    declutter: true,
    updateWhileInteracting: false,
    style: (feature) => style(feature.get("place") as Place, textScale()),
  });
  map.addLayer(names.layer);
  const looking = atRest(
    async (signal) => {
      const size = map.getSize();
      if (!size || size[0] === 0) return;
      const places = await placesIn(map.getView().calculateExtent(size), MAX_PLACES, signal);
      names.show(places.map((place) => pointFeature(toMercator([place.lon, place.lat]), { place })));
    },
    // The names that stand there are still right
    () => looking.soon(AGAIN_MS),
  );
  map.on("moveend", () => looking.soon(REST_MS));
  return names.layer;
}

export async function placesIn([left, bottom, right, top]: Extent, most: number, signal: AbortSignal): Promise<Place[]> {
  const [south, north] = [bottom!, top!].map((y) => toLonLat([0, y])[1]) as [number, number];
  const all = right! - left! >= WORLD_M;
  // west > east across the antimeridian
  const [west, east] = all ? [-180, 180] : [wrapped((left! * 360) / WORLD_M), wrapped((right! * 360) / WORLD_M)];
  return (await api.placesIn([west, south, east, north], most, signal)).places;
}

const DOT = circle(2, null, "#d6deea");

/** What does not fit is left out: a higher index comes first. */
export function style({ name, population }: Place, scale: number): Style {
  const [size, weight] = population > 1e6 ? [13, 600] : [12, 400];
  const text = textOf(name, "#d6deea", size! * scale, weight!, { textAlign: "left", offsetX: 5, offsetY: -6 });
  return new Style({ image: DOT, text, zIndex: population });
}
