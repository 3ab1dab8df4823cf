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

const MOST = 60;
const REST_MS = 120; // the map has stood still for so long
export const AGAIN_MS = 5000; // after so long what did not come is asked for again

/** Gives their layer. */
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
      const places = await placesIn(map.getView().calculateExtent(size), MOST, signal);
      names.show(places.map((place) => pointFeature(toMercator([place.lon, place.lat]), { place })));
    },
    // The names that stand there are still right
    () => looking.soon(AGAIN_MS),
  );
  map.on("moveend", () => looking.soon(REST_MS));
  return names.layer;
}

/** The largest places in an extent of the map. */
export async function placesIn(extent: Extent, most: number, signal: AbortSignal): Promise<Place[]> {
  return (await api.placesIn(box(extent), most, signal)).places;
}

/** west, south, east, north of an extent; west > east across the antimeridian. */
function box([left, bottom, right, top]: Extent): [number, number, number, number] {
  const [, south] = toLonLat([0, bottom!]);
  const [, north] = toLonLat([0, top!]);
  if (right! - left! >= WORLD_M) return [-180, south, 180, north];
  return [wrapped((left! * 360) / WORLD_M), south, wrapped((right! * 360) / WORLD_M), north];
}

const DOT = circle(2, null, "#d6deea");

/** What does not fit is left out: a higher index comes first. */
export function style({ name, population }: Place, scale: number): Style {
  const [size, weight] = population > 1e6 ? [13, 600] : [12, 400];
  const text = textOf(name, "#d6deea", size! * scale, weight!, { textAlign: "left", offsetX: 5, offsetY: -6 });
  return new Style({ image: DOT, text, zIndex: population });
}
