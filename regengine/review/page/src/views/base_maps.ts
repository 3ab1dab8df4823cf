// What lies under everything on the map: night lights, or an online layer that was allowed.

import TileLayer from "ol/layer/Tile";
import type Tile from "ol/Tile";
import type OlMap from "ol/Map";
import XYZ from "ol/source/XYZ";
import type { Session } from "../types";
import { element } from "../work/dom";
import { link } from "../work/link";
import type { Adjuster } from "./adjust";
import { LIGHT_TILES } from "./light_mosaic";

export interface BaseMaps {
  /** What to choose from; no more than the night lights until this is told. */
  offer(session: Pick<Session, "lights" | "layers">): void;
  /** Load from now on: not before the first photo has come, which would have to wait. */
  start(): void;
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

export function createBaseMaps(map: OlMap, adjuster: Adjuster): BaseMaps {
  const lights = new TileLayer<XYZ>({ className: "view-lights", zIndex: 0 });
  const online = new TileLayer({ className: "view-online", zIndex: 0, visible: false });
  adjuster.follow("map", lights, true);
  adjuster.fade("map", online);
  map.addLayer(lights);
  map.addLayer(online);
  const host = map.getTargetElement()!;
  const why = element("p", { className: "view-why", hidden: true }, WHY);
  host.append(why);
  let session: Pick<Session, "lights" | "layers"> = { lights: true, layers: [] };
  let started = false;

  const chooser = element("select", { hidden: true, attributes: { "aria-label": "Map" } });
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
      link.lost();
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
    start() {
      started = true;
      load();
    },
  };
}

function lightTiles(): XYZ {
  return new XYZ({
    url: LIGHT_TILES,
    maxZoom: 10, // finer than the maps: VIIRS has 15 arc seconds, 460 m
    transition: 0,
    wrapX: true,
  });
}
