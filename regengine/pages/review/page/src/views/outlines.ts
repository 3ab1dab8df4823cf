// Coast, borders and lakes by tiles of the map: for the map, and for what is drawn into the photo.

import { getCenter } from "ol/extent";
import { decodeDeltas } from "ol/format/Polyline";
import { inflateCoordinates } from "ol/geom/flat/inflate";
import VectorLayer from "ol/layer/Vector";
import { tile as byTile } from "ol/loadingstrategy";
import VectorSource from "ol/source/Vector";
import type Style from "ol/style/Style";
import { createXYZ } from "ol/tilegrid";
import type { LonLat } from "../types";
import { api, Kept } from "../work/api";
import { lineFeature, lineStyle } from "./marks";
import { AGAIN_MS } from "./place_names";
import { toMercator } from "./planes";

export type OutlineKind = "coast" | "border" | "lake";
type Outlines = { kind: OutlineKind; lines: LonLat[][] }[];

const KINDS: readonly OutlineKind[] = ["coast", "border", "lake"];
/** Zooms that there are: the world in one tile, and finer. */
export const WORLD_ZOOM = 0;
export const NEAR_ZOOM = 5;
const NEAR_M = 2500; // of a pixel of the screen; farther, the world's lines are as good

export const OUTLINE_STYLES: Record<OutlineKind, Style> = {
  coast: lineStyle({ color: "rgba(150, 190, 225, 0.85)", width: 1.2 }),
  border: lineStyle({ color: "rgba(205, 175, 215, 0.65)", width: 1, lineDash: [6, 4] }),
  lake: lineStyle({ color: "rgba(110, 165, 215, 0.7)", width: 1 }),
};

/** The lines of a tile, "z/x/y"; asked for once. */
export const outlinesOf = new Kept(async (key: string): Promise<Outlines> => {
  const told = await api.outlines(key);
  const decoded = (text: string): LonLat[] => {
    const flat = decodeDeltas(text, 2, 1 / told.unit_deg);
    return inflateCoordinates(flat, 0, flat.length, 2) as LonLat[];
  };
  return KINDS.map((kind) => ({ kind, lines: (told[kind] ?? []).map(decoded) }));
});

/** Layers of the map: the world's lines from far, finer ones near. They load when `start` is called. */
export function outlineLayers(): { layers: VectorLayer[]; start(): void; retry(): void } {
  const far = layer({ minResolution: NEAR_M });
  const near = layer({ maxResolution: NEAR_M });
  return {
    layers: [far, near],
    start() {
      if (far.getSource()) return;
      far.setSource(source(WORLD_ZOOM));
      near.setSource(source(NEAR_ZOOM));
    },
    /** Tiles that could not be fetched are no longer loaded: drawing asks for them again. */
    retry: () => [far, near].forEach((each) => each.changed()),
  };
}

function layer(range: { minResolution?: number; maxResolution?: number }): VectorLayer {
  return new VectorLayer({
    ...range,
    className: "view-outlines",
    zIndex: 15,
    updateWhileInteracting: true,
    style: (feature) => OUTLINE_STYLES[feature.get("kind") as OutlineKind],
  });
}

function source(z: number): VectorSource {
  const grid = createXYZ({ minZoom: z, maxZoom: z });
  const made = new VectorSource({
    wrapX: true,
    strategy: byTile(grid),
    loader: (extent, _resolution, _projection, success, failure) => {
      const [, x, y] = grid.getTileCoordForCoordAndZ(getCenter(extent), z) as [number, number, number];
      if (x < 0 || x >= 2 ** z || y < 0 || y >= 2 ** z) return success?.([]);
      outlinesOf.get(`${z}/${x}/${y}`).then(
        (outlines) => {
          const features = outlines.map(({ kind, lines }) => lineFeature(lines.map((line) => line.map(toMercator)), { kind }));
          made.addFeatures(features);
          success?.(features);
        },
        () => {
          failure?.();
          window.setTimeout(() => {
            made.removeLoadedExtent(extent);
            made.changed(); // asked again
          }, AGAIN_MS);
        },
      );
    },
  });
  return made as VectorSource;
}
