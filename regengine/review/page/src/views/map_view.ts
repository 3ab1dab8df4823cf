// The map: night lights, coast, names, what is known of the photo, and the photo itself over it.

import ScaleLine from "ol/control/ScaleLine";
import MultiPoint from "ol/geom/MultiPoint";
import ImageLayer from "ol/layer/Image";
import View from "ol/View";
import type { Camera, Frame, LonLat } from "../types";
import type { Adjuster } from "./adjust";
import { createBaseMaps, type BaseMaps } from "./base_maps";
import { createLoupe, type Loupe } from "./loupe";
import { nearestCopy, toLonLat, toMercator } from "./mercator";
import { outlineLayers } from "./outlines";
import { addPlaceNames } from "./place_names";
import { SEEK_MS, createStage, type Stage, type StageHooks } from "./stage";
import { framePlaces } from "./frame_places";
import { fitting } from "./fitting";
import { createSurroundings } from "./surroundings";
import { createWarpSource } from "./warp_source";

const MARGIN_PX = 30; // around what is fitted
// Share of the way from the nearest place that is known: once two tell turn and scale, and for sure
const UNSURE = 0.3;
const FINEST_SHARE = 0.5; // of the photo's scale: finer, there is no context
const TOLERATED = 1.25; // coarser than that, before a view moves that shows the guess already

/** How a view of the photo looks: two places so many screen pixels apart, null for the sky. */
export interface Likeness {
  ends: (LonLat | null)[];
  apart_px: number;
  /** Radians; null: as the map is. */
  turn: number | null;
}

export interface MapView {
  stage: Stage;
  base: BaseMaps;
  show(frame: Frame, preview: ImageBitmap | null): void;
  setCamera(camera: Camera | null): void;
  /** Whether the photo lies over the map. */
  setPhoto(over: boolean): void;
  fit(): void;
  /** Whether nobody has moved the view since it was fitted last. */
  untouched(): boolean;
  /** Turn the view, radians clockwise from north up. */
  turn(turn: number): void;
  /** Ask again for what could not be fetched. */
  retry(): void;
  goTo(place: LonLat, km: number): void;
  /** Centre between two places that lie so many screen pixels apart. */
  follow(a: LonLat, b: LonLat, apart_px: number): void;
  /** Show a guess, and around it where else it may be by the places that are known already. */
  seek(guess: LonLat, known: LonLat[], like: Likeness): void;
  /** Places on both sides of the view's middle, so many screen pixels apart. */
  ends(apart_px: number): LonLat[];
  loupe: Loupe;
}

export function createMapView(host: HTMLElement, hooks: StageHooks, adjuster: Adjuster): MapView {
  const stage = createStage(host, hooks, true, (at, near) => nearestCopy(at, near[0]!));
  const base = createBaseMaps(stage.map, adjuster);
  const warp = createWarpSource();
  const photo = new ImageLayer({ className: "view-warp", source: warp.source, zIndex: 10, visible: false });
  const surroundings = createSurroundings();
  adjuster.follow("photo", photo, true);
  const outlines = outlineLayers();
  for (const layer of [photo, ...outlines.layers, surroundings.layer]) stage.map.addLayer(layer);
  addPlaceNames(stage.map);
  stage.map.addControl(new ScaleLine());
  stage.map.setView(new View({ center: [0, 0], zoom: 2, maxZoom: 16, showFullExtent: true, constrainRotation: false }));
  const loupe = createLoupe(stage.map, undefined, (canvas) => adjuster.filter("map", canvas, false));
  let frame: Frame | null = null;
  let camera: Camera | null = null;
  const fit = fitting(stage.map, (view) => {
    view.fit(new MultiPoint(framePlaces(frame, camera)), { padding: [MARGIN_PX, MARGIN_PX, MARGIN_PX, MARGIN_PX], maxZoom: 12 });
  });
  return {
    stage,
    base,
    show(next, preview) {
      frame = next;
      base.start();
      outlines.start();
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
    untouched: fit.untouched,
    turn: (turn) => stage.map.getView().setRotation(turn),
    retry() {
      base.retry();
      warp.source.changed();
      outlines.retry();
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
    seek(guess, known, like) {
      if (known.length === 0) return stage.reveal(toMercator(guess));
      const view = stage.map.getView();
      const at = nearestCopy(toMercator(guess), view.getCenter()?.[0] ?? 0);
      const places = known.map((place) => nearestCopy(toMercator(place), at[0]!));
      const way = Math.min(...places.map((place) => Math.hypot(place[0]! - at[0]!, place[1]! - at[1]!)));
      // One place tells how far the guess is from it, and nothing of the direction
      const sure = known.length > 1;
      const [centre, radius] = sure ? [at, UNSURE * way] : [places[0]!, way];
      const [width, height] = stage.map.getSize() ?? [600, 400];
      const needed = (2 * radius) / Math.max(1, Math.min(width!, height!) - 2 * MARGIN_PX);
      const [from, to] = like.ends.map((place) => place && nearestCopy(toMercator(place), at[0]!));
      const scale = from && to ? Math.hypot(to[0]! - from[0]!, to[1]! - from[1]!) / like.apart_px : needed;
      const coarsest = sure ? Math.max(needed, FINEST_SHARE * scale) : needed;
      const now = view.getResolution() ?? coarsest;
      const away = view.getCenter() ?? centre;
      const room = (Math.min(width!, height!) / 2 - MARGIN_PX) * now - radius;
      const seen = Math.hypot(away[0]! - centre[0]!, away[1]! - centre[1]!) <= room;
      if (seen && now <= TOLERATED * coarsest) return;
      const turned = like.turn === null ? {} : { rotation: like.turn };
      view.animate({ center: centre, resolution: Math.min(Math.max(now, needed), coarsest), ...turned, duration: SEEK_MS });
    },
    ends(apart_px) {
      const centre = stage.map.getView().getCenter() ?? [0, 0];
      return [-apart_px / 2, apart_px / 2].map((dx) => toLonLat(stage.shifted(centre, dx, 0)));
    },
    loupe,
  };
}
