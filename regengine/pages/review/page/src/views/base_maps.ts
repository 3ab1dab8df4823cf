// What lies under everything on the map: the map that placed the photo, another one at hand, or an
// online layer that was allowed.

import TileLayer from "ol/layer/Tile";
import type Tile from "ol/Tile";
import type OlMap from "ol/Map";
import XYZ from "ol/source/XYZ";
import { KINDS, type MapKind, type Session } from "../types";
import { element } from "../work/dom";
import { link } from "../work/link";
import { FINEST_ZOOM, mapTiles } from "./map_mosaic";

const NAMES: Record<MapKind, string> = { lights: "Night lights", streets: "Streets", day: "Ground by day" };
const WITHOUT = "No base map";
const WHY: Record<MapKind, string> = {
  lights:
    "No night-light map: only coast, borders and towns are shown. " +
    "Get one with “regengine maps get”, then start the review again.",
  streets: "The street map that placed this photo is missing: start the review again with --streets FILE.",
  day: "The day map that placed this photo is missing: start the review again with --day FILE.",
};

/** Credits are shown as markup; what a file says is none. */
function asText(credit: string): string {
  return element("span", {}, credit).innerHTML;
}

export function createBaseMaps(map: OlMap, session: Pick<Session, "maps" | "layers">) {
  const own = new TileLayer<XYZ>({ className: "view-base", zIndex: 0 });
  const online = new TileLayer({ className: "view-online", zIndex: 0, visible: false });
  map.addLayer(own);
  map.addLayer(online);
  const host = map.getTargetElement()!;
  const why = element("p", { className: "view-why", hidden: true });
  host.append(why);
  const kinds = KINDS.filter((kind) => session.maps[kind]);
  const chooser = element(
    "select",
    { hidden: kinds.length + session.layers.length < 2, onchange: () => use(), attributes: { "aria-label": "Map" } },
    ...kinds.map((kind) => new Option(NAMES[kind], kind)),
    new Option(WITHOUT, ""),
    ...session.layers.map(({ name }, i) => new Option(name, String(i))),
  );
  const failed = new Set<Tile>();
  const sources = new Map<MapKind, XYZ>();
  let opened: MapKind | null = null; // what placed the photo in view

  /** The tiles of a map, asked for once they are shown. */
  const sourceOf = (kind: MapKind): XYZ => {
    const known = sources.get(kind);
    if (known) return known;
    const attributions = asText(session.maps[kind]!.attribution);
    const source = new XYZ({ url: mapTiles(kind), maxZoom: FINEST_ZOOM[kind], attributions, transition: 0, wrapX: true });
    source.on("tileloaderror", ({ tile }) => {
      failed.add(tile);
      link.lost();
    });
    sources.set(kind, source);
    return source;
  };
  const use = () => {
    const kind = kinds.find((each) => each === chooser.value);
    const layer = chooser.value === "" ? undefined : session.layers[Number(chooser.value)];
    own.setVisible(kind !== undefined);
    online.setVisible(layer !== undefined);
    why.hidden = opened === null || session.maps[opened] !== undefined || layer !== undefined;
    why.textContent = opened && WHY[opened];
    host.dataset.base = layer ? "online" : (kind ?? "none");
    if (kind) own.setSource(sourceOf(kind));
    if (layer) online.setSource(new XYZ({ url: layer.url, attributions: asText(layer.attribution), wrapX: true }));
  };

  return {
    /** Where a person chooses; hidden where there is no choice. */
    chooser,
    /** Ask again for tiles that could not be fetched. */
    retry(): void {
      const again = [...failed];
      failed.clear();
      for (const tile of again) {
        tile.addEventListener("change", () => own.changed());
        tile.load();
      }
    },
    /** Show the map that placed a photo; what was chosen stays while the next one is of the same kind. */
    open(kind: MapKind): void {
      if (kind === opened) return;
      opened = kind;
      chooser.value = session.maps[kind] ? kind : "";
      use();
    },
  };
}
