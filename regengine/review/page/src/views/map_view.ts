// The map: night lights, coast, names, what is known of the photo, and the photo itself over it.

import ScaleLine from "ol/control/ScaleLine";
import { buffer } from "ol/extent";
import GeoJSON from "ol/format/GeoJSON";
import ImageLayer from "ol/layer/Image";
import VectorLayer from "ol/layer/Vector";
import VectorSource from "ol/source/Vector";
import Stroke from "ol/style/Stroke";
import Style from "ol/style/Style";
import View from "ol/View";
import type { Camera, Frame, LonLat } from "../types";
import type { Adjuster } from "./adjust";
import { createBaseMaps, type BaseMaps } from "./base_maps";
import { nearestCopy, toMercator } from "./mercator";
import { addPlaceNames } from "./place_names";
import { createStage, type Stage, type StageHooks } from "./stage";
import { frameExtent } from "./frame_extent";
import { fitting } from "./fitting";
import { createSurroundings } from "./surroundings";
import { createWarpSource } from "./warp_source";

const MARGIN_PX = 30; // around what is fitted
const COAST_M = 1500; // of a pixel; the outlines are simplified to ten times as much

export interface MapView {
  stage: Stage;
  base: BaseMaps;
  show(frame: Frame, preview: ImageBitmap | null): void;
  setCamera(camera: Camera | null): void;
  /** Whether the photo lies over the map. */
  setPhoto(over: boolean): void;
  fit(): void;
  /** Ask again for what could not be fetched. */
  retry(): void;
  /** Have the tiles ready that the map will show when it is fitted to this camera's ground. */
  prefetch(seenBy: Camera): void;
  goTo(place: LonLat, km: number): void;
  /** Centre between two places that lie so many screen pixels apart. */
  follow(a: LonLat, b: LonLat, apart_px: number): void;
}

export function createMapView(host: HTMLElement, hooks: StageHooks, adjuster: Adjuster, lost: () => void): MapView {
  const stage = createStage(host, hooks, true, (at, near) => nearestCopy(at, near[0]!));
  const base = createBaseMaps(stage.map, adjuster, lost);
  const warp = createWarpSource(lost);
  const photo = new ImageLayer({ className: "view-warp", source: warp.source, zIndex: 10, visible: false });
  const surroundings = createSurroundings();
  adjuster.follow("photo", photo, true);
  const coast = coastLayer();
  for (const layer of [photo, coast, surroundings.layer]) stage.map.addLayer(layer);
  addPlaceNames(stage.map);
  stage.map.addControl(new ScaleLine());
  stage.map.setView(new View({ center: [0, 0], zoom: 2, maxZoom: 16, showFullExtent: true }));
  let frame: Frame | null = null;
  let camera: Camera | null = null;
  const fit = fitting(stage.map, (view) => {
    view.fit(frameExtent(frame, camera), { padding: [MARGIN_PX, MARGIN_PX, MARGIN_PX, MARGIN_PX], maxZoom: 12 });
  });
  return {
    stage,
    base,
    show(next, preview) {
      frame = next;
      base.start();
      if (!coast.getSource()) coast.setSource(coastlines());
      surroundings.setFrame(next);
      warp.setPhoto(next, preview);
    },
    setCamera(next) {
      const first = !camera && next !== null;
      camera = next;
      surroundings.setCamera(next);
      warp.setCamera(next);
      if (first) fit.now();
    },
    setPhoto: (over) => photo.setVisible(over),
    fit: fit.now,
    retry() {
      base.retry();
      warp.source.changed();
      if (coast.getSource()?.isEmpty()) coast.getSource()?.refresh();
    },
    prefetch(seenBy) {
      const [width, height] = stage.map.getSize() ?? [0, 0];
      const extent = frameExtent(null, seenBy);
      const room = [width! - 2 * MARGIN_PX, height! - 2 * MARGIN_PX];
      const resolution = stage.map.getView().getResolutionForExtent(extent, room);
      if (room.every((each) => each > 0)) base.prefetch(buffer(extent, MARGIN_PX * resolution), resolution);
    },
    goTo(place, km) {
      const [width, height] = stage.map.getSize() ?? [600, 400];
      const wide = (km * 1000) / Math.cos((place[1] * Math.PI) / 180);
      const view = stage.map.getView();
      const at = nearestCopy(toMercator(place), view.getCenter()?.[0] ?? 0);
      view.setCenter(at);
      view.setResolution(wide / Math.max(1, Math.min(width!, height!)));
    },
    follow(a, b, apart_px) {
      const from = toMercator(a);
      const to = nearestCopy(toMercator(b), from[0]!);
      const view = stage.map.getView();
      const centre = [(from[0]! + to[0]!) / 2, (from[1]! + to[1]!) / 2];
      view.setCenter(nearestCopy(centre, view.getCenter()?.[0] ?? 0));
      view.setResolution(Math.hypot(to[0]! - from[0]!, to[1]! - from[1]!) / apart_px);
    },
  };
}

function coastLayer(): VectorLayer {
  return new VectorLayer({
    className: "view-marks",
    zIndex: 15,
    minResolution: COAST_M, // nearer, its corners lie in the midst of towns
    updateWhileInteracting: true,
    style: new Style({ stroke: new Stroke({ color: "rgba(120, 160, 200, 0.7)", width: 1 }) }),
  });
}

function coastlines(): VectorSource {
  return new VectorSource({ url: "/api/coastline.json", format: new GeoJSON(), wrapX: true }) as VectorSource;
}
