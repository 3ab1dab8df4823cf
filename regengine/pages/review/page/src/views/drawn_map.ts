// The map drawn through the camera into the photo: lights, streets or ground, coast, borders, towns, and the limb.
// All of it follows the camera at once, while a point is dragged.

import ImageLayer from "ol/layer/Image";
import { modulo } from "ol/math";
import type ImageCanvas from "ol/source/ImageCanvas";
import { createXYZ } from "ol/tilegrid";
import { ecefToPixel } from "../geometry/camera";
import { geodeticToEcef } from "../geometry/earth";
import { limbPoints, seesGround } from "../geometry/horizon";
import type { Vec3 } from "../geometry/vector";
import type { Camera, LayerName, LayerState, LonLat, MapKind, Place } from "../types";
import { atRest } from "../work/link";
import { createMapMosaic } from "./base_maps";
import { extentOf, flatMesh, type MeshTriangle } from "./ground";
import { NEAR_ZOOM, OUTLINE_STYLES, type OutlineKind, outlinesOf, WORLD_ZOOM } from "./outlines";
import { AGAIN_MS, placesIn, style as placeStyle } from "./place_names";
import { type Pixel, pixelProjection, pixelToPlane } from "./planes";
import { createMarks, lineFeature, lineStyle, pointFeature, textScale } from "./marks";
import { PREVIEW_PX } from "./previews";
import type { Stage } from "./stage";
import { drawnSource, drawTriangles, type Target, typicalScale } from "./warp";

const MAX_OFF = 1.5; // of the screen's pixels, about: of the preview's, as the photo over the map
const MAX_TILES = 20; // of outlines; where more are in sight, the world's lines do
const MAX_PLACES = 200;
const REST_MS = 150; // the camera has stood still for so long
const LONGEST_DEG = 0.25; // of a piece of line: straight on the map is bent in the photo
const LIMB_POINTS = 720;
const GRID = createXYZ();
const BEYOND = 0.2; // of the photo's size: beyond it a lens is not known
const STYLES = {
  ...OUTLINE_STYLES,
  limb: lineStyle({ color: "#7fe3d0", width: 1.6, lineDash: [10, 6] }),
};

export function createDrawnMap(stage: Stage) {
  let camera: Camera | null = null;
  let on = false;
  let mesh: MeshTriangle[] | null = null;
  let lines: { kind: OutlineKind; points: Vec3[] }[] = [];
  let places: { place: Place; at: Vec3 }[] = [];
  let asked = ""; // which outlines
  let mosaic: ReturnType<typeof createMapMosaic> | null = null;

  const draw = ({ context, extent, scale }: Target) => {
    if (!camera || !mosaic) return;
    mesh ??= meshOf(camera);
    if (mesh.length === 0) return;
    const picture = mosaic.of(extentOf(mesh), typicalScale(mesh) / scale);
    if (!picture) return;
    drawTriangles(
      context,
      mesh,
      picture.canvas,
      ({ at }) => [(at[0]! - picture.left) / picture.metres, (picture.top - at[1]!) / picture.metres],
      ({ pixel }) => {
        const [x, y] = pixelToPlane(pixel) as [number, number];
        return [(x - extent[0]!) * scale, (extent[3]! - y) * scale];
      },
    );
  };
  const mapLayer = new ImageLayer<ImageCanvas>({ className: "view-drawn", zIndex: 10, visible: false });
  let source: ImageCanvas | null = null;
  const overlays = {
    coast: createMarks(false, {
      zIndex: 15,
      visible: false,
      updateWhileInteracting: false,
      style: (feature) => STYLES[feature.get("kind") as keyof typeof STYLES],
    }),
    names: createMarks(false, {
      zIndex: 20,
      visible: false,
      declutter: true,
      style: (feature) => placeStyle(feature.get("place") as Place, textScale()),
    }),
  };
  for (const layer of [mapLayer, overlays.coast.layer, overlays.names.layer]) stage.map.addLayer(layer);

  const shown = { coast: true, names: true };
  const showLayers = () => {
    for (const name of ["coast", "names"] as const) overlays[name].layer.setVisible(on && shown[name]);
  };

  const refresh = () => {
    source?.changed();
    for (const marks of Object.values(overlays)) marks.show([]);
    if (!camera) return;
    const sees = seesGround(camera.position_ecef_m);
    const plane = planeOf(camera);
    const around = limbPoints(camera.position_ecef_m, LIMB_POINTS);
    const flat: Record<keyof typeof STYLES, number[][][]> = { coast: [], border: [], lake: [], limb: drawn([...around, around[0]!], plane) };
    for (const { kind, points } of lines) flat[kind].push(...drawn(points, (at) => (sees(at) ? plane(at) : null)));
    overlays.coast.show(Object.entries(flat).map(([kind, parts]) => lineFeature(parts, { kind })));
    const [right, lower] = [camera.width_px, camera.height_px];
    overlays.names.show(
      places.flatMap(({ place, at }) => {
        const on = sees(at) ? plane(at) : null;
        const inside = on && on[0]! > 0 && on[0]! < right && on[1]! < 0 && on[1]! > -lower;
        return inside ? [pointFeature(on, { place })] : [];
      }),
    );
  };

  const looking = atRest(
    async (signal) => {
      if (!on || !camera) return;
      mesh ??= meshOf(camera);
      if (mesh.length === 0) return;
      const extent = extentOf(mesh);
      const near: string[] = [];
      GRID.forEachTileCoord(extent, NEAR_ZOOM, ([, x, y]) => near.push(`${NEAR_ZOOM}/${modulo(x!, 2 ** NEAR_ZOOM)}/${y}`));
      const tiles = near.length > MAX_TILES ? [`${WORLD_ZOOM}/0/0`] : near;
      if (tiles.join(" ") !== asked) {
        const found = await Promise.all(tiles.map((tile) => outlinesOf.get(tile)));
        if (signal.aborted) return;
        asked = tiles.join(" ");
        lines = found.flat().flatMap(({ kind, lines }) => lines.map((line) => ({ kind, points: bent(line) })));
        refresh();
      }
      const found = await placesIn(extent, MAX_PLACES, signal);
      places = found.map((place) => ({ place, at: geodeticToEcef(place.lon, place.lat) }));
      refresh();
    },
    // What is drawn is still right
    () => looking.soon(AGAIN_MS),
  );

  return {
    /** Another photo, of this size, and the map to draw into it; null for none. */
    setPhoto(width_px: number, height_px: number, kind: MapKind | null): void {
      mosaic = kind && createMapMosaic(kind, () => source?.changed());
      source = drawnSource(pixelProjection(width_px, height_px), draw);
      mapLayer.setSource(source);
      [lines, places, asked] = [[], [], ""];
    },
    setCamera(next: Camera | null): void {
      if (camera === next) return;
      camera = next;
      mesh = null;
      if (!on) return;
      refresh();
      looking.soon(REST_MS);
    },
    setLayer(name: LayerName, state: LayerState): void {
      if (name !== "coast" && name !== "names") return;
      shown[name] = state.on;
      overlays[name].layer.setOpacity(state.opacity);
      showLayers();
    },
    /** `hidden`: without the map itself, for a moment. */
    show(next: boolean, hidden: boolean): void {
      const begins = next && !on;
      on = next;
      mapLayer.setVisible(on && !hidden);
      showLayers();
      if (!begins) return;
      refresh();
      looking.now();
    },
  };
}

function meshOf(camera: Camera): MeshTriangle[] {
  return flatMesh(camera, MAX_OFF * Math.max(1, camera.width_px / PREVIEW_PX));
}

/** Where a place (ECEF) lies in the photo's plane; null far outside of it. */
function planeOf(camera: Camera): (at: Vec3) => number[] | null {
  const [wide, high] = [camera.width_px * BEYOND, camera.height_px * BEYOND];
  const ideal: Camera = { ...camera, distortion: [0, 0, 0, 0, 0] };
  const bends = camera.distortion.some((each) => each !== 0);
  return (at) => {
    const first = ecefToPixel(ideal, at);
    if (!first || first[0] < -wide || first[0] > camera.width_px + wide) return null;
    if (first[1] < -high || first[1] > camera.height_px + high) return null;
    return pixelToPlane((bends ? ecefToPixel(camera, at)! : first) as Pixel);
  };
}

/** The parts of a line that are to be seen. */
function drawn(points: Vec3[], plane: (at: Vec3) => number[] | null): number[][][] {
  const parts: number[][][] = [[]];
  for (const point of points) {
    const at = plane(point);
    if (at) parts.at(-1)!.push(at);
    else if (parts.at(-1)!.length > 0) parts.push([]);
  }
  return parts.filter((part) => part.length > 1);
}

/** A line on the ground, with so many points that it bends as the ground does. */
function bent(line: LonLat[]): Vec3[] {
  return line.flatMap(([lon, lat], i) => {
    const [fromLon, fromLat] = line[i - 1] ?? [lon, lat];
    const [dx, dy] = [lon - fromLon, lat - fromLat];
    const pieces = Math.max(1, Math.ceil(Math.max(Math.abs(dx), Math.abs(dy)) / LONGEST_DEG));
    return Array.from({ length: pieces }, (_, k) => {
      const share = (k + 1) / pieces;
      return geodeticToEcef(fromLon + dx * share, fromLat + dy * share);
    });
  });
}
