// Maps by their tiles: what lies under everything (the map that placed the photo, another one at hand, or an
// online layer that was allowed), and a part of a map put together in one picture.

import type { Extent } from "ol/extent";
import TileLayer from "ol/layer/Tile";
import type OlMap from "ol/Map";
import XYZ from "ol/source/XYZ";
import type Tile from "ol/Tile";
import { KINDS, type MapKind, type Session } from "../types";
import { element } from "../work/dom";
import { link } from "../work/link";
import { WORLD_M } from "./planes";

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

const TILE_PX = 256;
const MOST_TILES = 80;
const KEPT = 240;
const ROOM = 0.15; // around what was asked for, so that a drag needs no other picture
/** Finer than the maps: lights have 15 arc seconds, 460 m, streets 12.5 m, and days what they were made of. */
export const FINEST_ZOOM: Record<MapKind, number> = { lights: 10, streets: 14, day: 13 };

/** Address of the tiles of a map. */
export function mapTiles(kind: MapKind): string {
  return `/api/maps/${kind}/{z}/{x}/{y}.png`;
}

export interface MapPicture {
  canvas: HTMLCanvasElement;
  /** Mercator metres of its upper left corner, and of a pixel. */
  left: number;
  top: number;
  metres: number;
}

/** The first and last column and row of tiles. */
type Range = [number, number, number, number];

export function createMapMosaic(kind: MapKind, loaded: () => void) {
  const tiles = new Map<string, HTMLImageElement>();
  let last: { z: number; range: Range; picture: MapPicture } | null = null;
  let timer = 0;
  const arrived = () => {
    last = null;
    window.clearTimeout(timer);
    timer = window.setTimeout(loaded, 30); // those that come together are drawn together
  };
  const tile = (z: number, x: number, y: number): HTMLImageElement => {
    const address = mapTiles(kind).replace("{z}", `${z}`).replace("{x}", `${x}`).replace("{y}", `${y}`);
    const known = tiles.get(address);
    const image = known ?? new Image();
    tiles.delete(address);
    tiles.set(address, image); // newest last
    if (!known) {
      image.addEventListener("load", arrived);
      image.addEventListener("error", () => tiles.delete(address)); // asked for again later
      image.src = address;
    }
    for (const oldest of tiles.keys()) {
      if (tiles.size <= KEPT) break;
      tiles.delete(oldest);
    }
    return image;
  };
  return {
    /** The map of an extent, a pixel about so many metres; tiles that are on their way are missing. */
    of([left, bottom, right, top]: Extent, metres: number): MapPicture | null {
      const room = Math.max(right! - left!, top! - bottom!) * ROOM;
      const wanted = Math.round(Math.log2(WORLD_M / TILE_PX / metres));
      for (let z = Math.min(FINEST_ZOOM[kind], Math.max(0, wanted)); z >= 0; z--) {
        const size = WORLD_M / 2 ** z;
        const column = (x: number) => Math.floor((x + WORLD_M / 2) / size);
        const row = (y: number) => Math.min(2 ** z - 1, Math.max(0, Math.floor((WORLD_M / 2 - y) / size)));
        const range = (more: number): Range => [column(left! - more), row(top! + more), column(right! + more), row(bottom! - more)];
        const around = range(room);
        const [first, upper, end, lower] = around;
        if ((end - first + 1) * (lower - upper + 1) > MOST_TILES && z > 0) continue;
        if (last?.z === z && holds(last.range, range(0))) return last.picture;
        const canvas = document.createElement("canvas");
        canvas.width = (end - first + 1) * TILE_PX;
        canvas.height = (lower - upper + 1) * TILE_PX;
        const context = canvas.getContext("2d")!;
        const n = 2 ** z;
        for (let x = first; x <= end; x++) {
          for (let y = upper; y <= lower; y++) {
            const image = tile(z, ((x % n) + n) % n, y);
            if (!image.complete || image.naturalWidth === 0) continue;
            context.drawImage(image, (x - first) * TILE_PX, (y - upper) * TILE_PX);
          }
        }
        const picture = { canvas, left: first * size - WORLD_M / 2, top: WORLD_M / 2 - upper * size, metres: size / TILE_PX };
        last = { z, range: around, picture };
        return picture;
      }
      return null;
    },
  };
}

/** Whether a range has all tiles of another one. */
function holds([left, top, right, bottom]: Range, [first, upper, end, lower]: Range): boolean {
  return left <= first && top <= upper && right >= end && bottom >= lower;
}
