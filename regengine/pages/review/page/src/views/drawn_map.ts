// The map drawn through the camera into the photo: lights, streets or ground, coast, borders, towns, and the limb.
// All of it follows the camera at once, while a point is dragged.

import { boundingExtent, type Extent } from "ol/extent";
import Feature from "ol/Feature";
import LineString from "ol/geom/LineString";
import MultiLineString from "ol/geom/MultiLineString";
import PointGeometry from "ol/geom/Point";
import ImageLayer from "ol/layer/Image";
import VectorLayer from "ol/layer/Vector";
import ImageCanvas from "ol/source/ImageCanvas";
import VectorSource from "ol/source/Vector";
import Stroke from "ol/style/Stroke";
import Style from "ol/style/Style";
import { ecefToPixel } from "../geometry/camera";
import { geodeticToEcef } from "../geometry/earth";
import { limbPoints, seesGround } from "../geometry/horizon";
import type { Vec3 } from "../geometry/vector";
import type { Camera, LonLat, MapKind, Place } from "../types";
import { createMapMosaic } from "./map_mosaic";
import { WORLD_M as WORLD } from "./mercator";
import { flatMesh, wholePhoto, type MeshTriangle } from "./mesh";
import { NEAR_ZOOM, OUTLINE_STYLES, outlinesOf, WORLD_ZOOM, type OutlineKind } from "./outlines";
import { pixelProjection, pixelToPlane, type Pixel } from "./pixel_plane";
import { placesIn, style as placeStyle } from "./place_names";
import type { LayerName, LayerState } from "../view_types";
import type { Stage } from "./stage";
import { textScale } from "./point_layer";
import { drawTriangles, drawnSource, typicalScale, type Target } from "./warp";

const MOST_OFF = 1.5; // of the screen's pixels, about: of the preview's, as the photo over the map
const MOST_TILES = 20; // of outlines; where more are in sight, the world's lines do
const MOST_PLACES = 200;
const REST_MS = 150; // the camera has stood still for so long
const AGAIN_MS = 5000; // after so long what did not come is asked for again
const LONGEST_DEG = 0.25; // of a piece of line: straight on the map is bent in the photo
const LIMB_POINTS = 720;
const BEYOND = 0.2; // of the photo's size: beyond it a lens is not known
const STYLES = {
  ...OUTLINE_STYLES,
  limb: new Style({ stroke: new Stroke({ color: "#7fe3d0", width: 1.6, lineDash: [10, 6] }) }),
};

interface Line {
  kind: OutlineKind;
  points: Vec3[];
}

export function createDrawnMap(stage: Stage) {
  let camera: Camera | null = null;
  let on = false;
  let mesh: MeshTriangle[] | null = null;
  let lines: Line[] = [];
  let places: { place: Place; at: Vec3 }[] = [];
  let asked = ""; // which outlines
  let timer = 0;
  let asking: AbortController | null = null;
  let mosaic: ReturnType<typeof createMapMosaic> | null = null;
  let drawnKind: MapKind | null = null;

  const draw = ({ context, extent, scale }: Target) => {
    if (!camera || !mosaic) return;
    mesh ??= meshOf(camera);
    if (mesh.length === 0) return;
    const ground = boundingExtent(mesh.flat().map(({ at }) => at));
    const picture = mosaic.of(ground, typicalScale(mesh) / scale);
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
  const drawnLines = new VectorSource<Feature>();
  const names = new VectorSource<Feature>();
  const lineLayer = new VectorLayer({
    source: drawnLines,
    className: "view-marks",
    zIndex: 15,
    visible: false,
    style: (feature) => STYLES[feature.get("kind") as keyof typeof STYLES],
  });
  const nameLayer = new VectorLayer({
    source: names,
    className: "view-marks",
    zIndex: 20,
    visible: false,
    declutter: true,
    updateWhileInteracting: true,
    style: (feature) => placeStyle(feature.get("place") as Place, textScale()),
  });
  for (const layer of [mapLayer, lineLayer, nameLayer]) stage.map.addLayer(layer);

  const overlays = { coast: lineLayer, names: nameLayer };
  const shown = { coast: true, names: true };
  const showLayers = () => {
    lineLayer.setVisible(on && shown.coast);
    nameLayer.setVisible(on && shown.names);
  };

  const refresh = () => {
    source?.changed();
    drawnLines.clear(true);
    names.clear(true);
    if (!camera) return;
    const sees = seesGround(camera.position_ecef_m);
    const plane = planeOf(camera);
    const flat: Record<OutlineKind, number[][][]> = { coast: [], border: [], lake: [] };
    for (const { kind, points } of lines) flat[kind].push(...drawn(points, (at) => (sees(at) ? plane(at) : null)));
    const features = Object.entries(flat).map(
      ([kind, parts]) => new Feature({ geometry: new MultiLineString(parts), kind }),
    );
    const around = limbPoints(camera.position_ecef_m, LIMB_POINTS);
    for (const part of drawn([...around, around[0]!], plane)) {
      features.push(new Feature<MultiLineString | LineString>({ geometry: new LineString(part), kind: "limb" }) as never);
    }
    drawnLines.addFeatures(features);
    const [right, lower] = [camera.width_px, camera.height_px];
    names.addFeatures(
      places.flatMap(({ place, at }) => {
        const on = sees(at) ? plane(at) : null;
        const inside = on && on[0]! > 0 && on[0]! < right && on[1]! < 0 && on[1]! > -lower;
        return inside ? [new Feature({ geometry: new PointGeometry(on), place })] : [];
      }),
    );
  };

  const look = async () => {
    if (!on || !camera) return;
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    mesh ??= meshOf(camera);
    if (mesh.length === 0) return;
    const extent = boundingExtent(mesh.flat().map(({ at }) => at));
    try {
      const tiles = tilesUnder(extent);
      if (tiles.join(" ") !== asked) {
        const found = await Promise.all(tiles.map((tile) => outlinesOf.get(tile)));
        if (signal.aborted) return;
        asked = tiles.join(" ");
        lines = found.flat().map(({ kind, line }) => ({ kind, points: bent(line) }));
        refresh();
      }
      const found = await placesIn(extent, MOST_PLACES, signal);
      places = found.map((place) => ({ place, at: geodeticToEcef(place.lon, place.lat) }));
      refresh();
    } catch {
      // Moved on, or the server is away: what is drawn is still right
      if (!signal.aborted) lookSoon(AGAIN_MS);
    }
  };
  const lookSoon = (after_ms = REST_MS) => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void look(), after_ms);
  };

  return {
    /** Another photo, of this size, and the map to draw into it; null for none. */
    setPhoto(width_px: number, height_px: number, kind: MapKind | null): void {
      if (kind !== drawnKind) mosaic = kind && createMapMosaic(kind, () => source?.changed());
      drawnKind = kind;
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
      lookSoon();
    },
    setLayer(name: LayerName, state: LayerState): void {
      if (name !== "coast" && name !== "names") return;
      shown[name] = state.on;
      overlays[name].setOpacity(state.opacity);
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
      void look();
    },
  };
}

function meshOf(camera: Camera): MeshTriangle[] {
  return flatMesh(camera, wholePhoto(camera), MOST_OFF * Math.max(1, camera.width_px / 2048));
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
  const parts: number[][][] = [];
  let part: number[][] = [];
  for (const point of points) {
    const at = plane(point);
    if (at) part.push(at);
    else {
      if (part.length > 1) parts.push(part);
      part = [];
    }
  }
  if (part.length > 1) parts.push(part);
  return parts;
}

/** A line on the ground, with so many points that it bends as the ground does. */
function bent(line: LonLat[]): Vec3[] {
  const points: Vec3[] = [];
  line.forEach(([lon, lat], i) => {
    const before = line[i - 1];
    if (before) {
      const [dx, dy] = [lon - before[0], lat - before[1]];
      const pieces = Math.ceil(Math.max(Math.abs(dx), Math.abs(dy)) / LONGEST_DEG);
      for (let k = 1; k < pieces; k++) {
        points.push(geodeticToEcef(before[0] + (dx * k) / pieces, before[1] + (dy * k) / pieces));
      }
    }
    points.push(geodeticToEcef(lon, lat));
  });
  return points;
}

/** Tiles of outlines under an extent of the map, "z/x/y": the near ones, or the world's. */
function tilesUnder([left, bottom, right, top]: Extent): string[] {
  const n = 2 ** NEAR_ZOOM;
  const size = WORLD / n;
  const [first, last] = [Math.floor((left! + WORLD / 2) / size), Math.floor((right! + WORLD / 2) / size)];
  const [upper, lower] = [Math.floor((WORLD / 2 - top!) / size), Math.floor((WORLD / 2 - bottom!) / size)];
  const tiles: string[] = [];
  for (let x = first; x <= last; x++) {
    for (let y = Math.max(0, upper); y <= Math.min(n - 1, lower); y++) tiles.push(`${NEAR_ZOOM}/${((x % n) + n) % n}/${y}`);
  }
  return tiles.length > MOST_TILES ? [`${WORLD_ZOOM}/0/0`] : tiles;
}
