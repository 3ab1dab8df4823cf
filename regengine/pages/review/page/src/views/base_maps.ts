// Maps by their tiles: what lies under everything (the map that placed the photo, another one at hand, or an
// online layer that was allowed), and a part of a map put together in one picture.

import { buffer, type Extent, getHeight, getWidth } from "ol/extent";
import TileLayer from "ol/layer/Tile";
import type OlMap from "ol/Map";
import { modulo } from "ol/math";
import XYZ from "ol/source/XYZ";
import type Tile from "ol/Tile";
import { createXYZ } from "ol/tilegrid";
import type TileRange from "ol/TileRange";
import { KINDS, type MapKind, type Session } from "../types";
import { Kept } from "../work/api";
import { element } from "../work/dom";
import { link } from "../work/link";
import { loadPicture } from "./previews";

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
    const source = new XYZ({ url: `/api/maps/${kind}/{z}/{x}/{y}.png`, maxZoom: FINEST_ZOOM[kind], attributions, transition: 0, wrapX: true });
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

const TILE_PX = 256;
const MAX_TILES = 80;
const KEPT = 240;
const ROOM = 0.15; // around what was asked for, so that a drag needs no other picture
/** Finer than the maps: lights have 15 arc seconds, 460 m, streets 12.5 m, and days what they were made of. */
const FINEST_ZOOM: Record<MapKind, number> = { lights: 10, streets: 14, day: 13 };

const tiles = new Kept(loadPicture, KEPT);

/** Some tiles of a map in one picture. */
interface MapPicture {
  z: number;
  range: TileRange;
  canvas: HTMLCanvasElement;
  /** Mercator metres of its upper left corner, and of a pixel. */
  left: number;
  top: number;
  metres: number;
}

export function createMapMosaic(kind: MapKind, loaded: () => void) {
  const grid = createXYZ({ maxZoom: FINEST_ZOOM[kind] });
  let wanted: MapPicture | null = null;
  let shown: MapPicture | null = null; // the wanted one, once some of it has come
  let timer = 0;
  const arrived = (picture: MapPicture) => {
    if (picture !== wanted) return;
    window.clearTimeout(timer);
    timer = window.setTimeout(() => {
      shown = picture;
      loaded();
    }, 30); // those that come together are drawn together
  };
  const begin = (z: number, range: TileRange): MapPicture => {
    const canvas = element("canvas", { width: range.getWidth() * TILE_PX, height: range.getHeight() * TILE_PX });
    const context = canvas.getContext("2d")!;
    const [left, , , top] = grid.getTileCoordExtent([z, range.minX, range.minY]);
    const picture = { z, range, canvas, left: left!, top: top!, metres: grid.getResolution(z) };
    for (let x = range.minX; x <= range.maxX; x++) {
      for (let y = Math.max(0, range.minY); y <= Math.min(2 ** z - 1, range.maxY); y++) {
        tiles.get(`maps/${kind}/${z}/${modulo(x, 2 ** z)}/${y}.png`).then(
          (tile) => {
            context.drawImage(tile, (x - range.minX) * TILE_PX, (y - range.minY) * TILE_PX);
            arrived(picture);
          },
          () => undefined, // asked for again later
        );
      }
    }
    return picture;
  };
  return {
    /** The map of an extent, a pixel about so many metres, as far as it has come. */
    of(extent: Extent, metres: number): MapPicture | null {
      const around = buffer(extent, ROOM * Math.max(getWidth(extent), getHeight(extent)));
      let z = grid.getZForResolution(metres);
      let range = grid.getTileRangeForExtentAndZ(around, z);
      while (z > 0 && range.getWidth() * range.getHeight() > MAX_TILES) range = grid.getTileRangeForExtentAndZ(around, --z);
      const needed = grid.getTileRangeForExtentAndZ(extent, z);
      if (wanted?.z !== z || !wanted.range.containsTileRange(needed)) wanted = begin(z, range);
      return shown;
    },
  };
}
