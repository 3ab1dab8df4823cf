// What lies under everything on the map: night lights, or an online layer that was allowed.

import type { Extent } from "ol/extent";
import TileLayer from "ol/layer/Tile";
import type Tile from "ol/Tile";
import type OlMap from "ol/Map";
import { get as getProjection } from "ol/proj";
import XYZ from "ol/source/XYZ";
import type { Session } from "../types";
import type { Adjuster } from "./adjust";
import { LIGHT_TILES } from "./light_mosaic";

export interface BaseMaps {
  /** What to choose from; no more than the night lights until this is told. */
  offer(session: Pick<Session, "lights" | "layers">): void;
  /** Load from now on: not before the first photo has come, which would have to wait. */
  start(): void;
  /** Ask for the night lights of an extent, so that they are at hand when they are shown. */
  prefetch(extent: Extent, resolution: number): void;
  /** Ask again for tiles that could not be fetched. */
  retry(): void;
  /** Where a person chooses; hidden where there is no choice. */
  chooser: HTMLSelectElement;
}

const LIGHTS = "Night lights";
const WITHOUT = "No base map";
const WHY =
  "There is no map of night lights here: coast, borders and towns are all there is to see. " +
  "It is fetched once by “regengine lights get”; reviews begun after that have it.";

export function createBaseMaps(map: OlMap, adjuster: Adjuster, lost: () => void): BaseMaps {
  const lights = new TileLayer<XYZ>({ className: "view-lights", zIndex: 0 });
  const online = new TileLayer({ className: "view-online", zIndex: 0, visible: false });
  adjuster.follow("map", lights, true);
  adjuster.fade("map", online);
  map.addLayer(lights);
  map.addLayer(online);
  const host = map.getTargetElement()!;
  const why = document.createElement("p");
  why.className = "view-why";
  why.textContent = WHY;
  why.hidden = true;
  host.append(why);
  let session: Pick<Session, "lights" | "layers"> = { lights: true, layers: [] };
  let started = false;

  const chooser = document.createElement("select");
  chooser.setAttribute("aria-label", "Map");
  chooser.hidden = true;
  const use = () => {
    const layer = session.layers[Number(chooser.value)];
    lights.setVisible(!layer);
    online.setVisible(layer !== undefined);
    why.hidden = session.lights || layer !== undefined;
    host.dataset.base = layer ? "online" : "lights";
    if (layer) online.setSource(new XYZ({ url: layer.url, attributions: layer.attribution, wrapX: true }));
  };
  chooser.addEventListener("change", use);

  const load = () => {
    if (started && session.lights && !lights.getSource()) lights.setSource(followed(lightTiles()));
  };
  const failed = new Set<Tile>();
  const followed = (source: XYZ): XYZ => {
    source.on("tileloaderror", ({ tile }) => {
      failed.add(tile);
      lost();
    });
    return source;
  };
  return {
    chooser,
    retry() {
      const again = [...failed];
      failed.clear();
      for (const tile of again) {
        tile.addEventListener("change", () => lights.changed());
        tile.load();
      }
    },
    offer(next) {
      session = next;
      const names = [next.lights ? LIGHTS : WITHOUT, ...next.layers.map(({ name }) => name)];
      chooser.replaceChildren(...names.map((name, i) => new Option(name, String(i - 1))));
      chooser.hidden = next.layers.length === 0;
      use();
      load();
    },
    prefetch(extent, resolution) {
      const source = lights.getSource();
      if (source && lights.getVisible()) for (const url of tilesOf(source, extent, resolution)) new Image().src = url;
    },
    start() {
      started = true;
      load();
    },
  };
}

const MOST_TILES = 24;

function tilesOf(source: XYZ, extent: Extent, resolution: number): string[] {
  const projection = source.getProjection() ?? getProjection("EPSG:3857")!;
  const grid = source.getTileGridForProjection(projection);
  const urls: string[] = [];
  grid.forEachTileCoord(extent, grid.getZForResolution(resolution), (tile) => {
    const inWorld = source.getTileCoordForTileUrlFunction(tile, projection);
    const url = inWorld && source.getTileUrlFunction()(inWorld, 1, projection);
    if (url && urls.length < MOST_TILES) urls.push(url);
  });
  return urls;
}

function lightTiles(): XYZ {
  return new XYZ({
    url: LIGHT_TILES,
    maxZoom: 10, // finer than the maps: VIIRS has 15 arc seconds, 460 m
    transition: 0,
    wrapX: true,
  });
}
