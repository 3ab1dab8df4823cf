// What lies under everything on the map: night lights, or an online layer that was allowed.

import TileLayer from "ol/layer/Tile";
import type Tile from "ol/Tile";
import type OlMap from "ol/Map";
import XYZ from "ol/source/XYZ";
import type { Session } from "../types";
import { element } from "../work/dom";
import { link } from "../work/link";
import { LIGHT_TILES } from "./light_mosaic";

const LIGHTS = "Night lights";
const WITHOUT = "No base map";
const WHY =
  "There is no map of night lights here: coast, borders and towns are all there is to see. " +
  "It is fetched once by “regengine lights get”; reviews begun after that have it.";

export function createBaseMaps(map: OlMap, session: Pick<Session, "lights" | "layers">) {
  const lights = new TileLayer<XYZ>({ className: "view-lights", zIndex: 0 });
  const online = new TileLayer({ className: "view-online", zIndex: 0, visible: false });
  map.addLayer(lights);
  map.addLayer(online);
  const host = map.getTargetElement()!;
  const why = element("p", { className: "view-why", hidden: true }, WHY);
  host.append(why);
  const names = [session.lights ? LIGHTS : WITHOUT, ...session.layers.map(({ name }) => name)];
  const chooser = element(
    "select",
    { hidden: session.layers.length === 0, onchange: () => use(), attributes: { "aria-label": "Map" } },
    ...names.map((name, i) => new Option(name, String(i - 1))),
  );
  const use = () => {
    const layer = session.layers[Number(chooser.value)];
    lights.setVisible(!layer);
    online.setVisible(layer !== undefined);
    why.hidden = session.lights || layer !== undefined;
    host.dataset.base = layer ? "online" : "lights";
    if (layer) online.setSource(new XYZ({ url: layer.url, attributions: layer.attribution, wrapX: true }));
  };
  use();

  const failed = new Set<Tile>();
  return {
    /** Where a person chooses; hidden where there is no choice. */
    chooser,
    /** Ask again for tiles that could not be fetched. */
    retry(): void {
      const again = [...failed];
      failed.clear();
      for (const tile of again) {
        tile.addEventListener("change", () => lights.changed());
        tile.load();
      }
    },
    /** Load from now on: not before the first photo has come, which would have to wait. */
    start(): void {
      if (!session.lights || lights.getSource()) return;
      const maxZoom = 10; // finer than the maps: VIIRS has 15 arc seconds, 460 m
      const source = new XYZ({ url: LIGHT_TILES, maxZoom, transition: 0, wrapX: true });
      source.on("tileloaderror", ({ tile }) => {
        failed.add(tile);
        link.lost();
      });
      lights.setSource(source);
    },
  };
}
