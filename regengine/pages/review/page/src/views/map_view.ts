// The map: lights, streets or ground by day, coast, names, what is known of the photo, and the photo itself over it.

import { distance } from "ol/coordinate";
import MultiPoint from "ol/geom/MultiPoint";
import type BaseLayer from "ol/layer/Base";
import ImageLayer from "ol/layer/Image";
import View from "ol/View";
import type { Camera, Frame, LayerName, LayerState, LonLat, Session, ViewEvents, Work } from "../types";
import { createBaseMaps } from "./base_maps";
import { framePlaces } from "./ground";
import { outlineLayers } from "./outlines";
import { addPlaceNames } from "./place_names";
import { nearestCopy, toMercator } from "./planes";
import { addScaleBar } from "./scale_bar";
import { SEEK_MS, Stage } from "./stage";
import { createSurroundings } from "./surroundings";
import { createWarpSource } from "./warp";

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

export type MapView = ReturnType<typeof createMapView>;

export function createMapView(host: HTMLElement, work: Work, events: ViewEvents, session: Session) {
  const stage = new Stage(host, "map", work, events);
  const base = createBaseMaps(stage.map, session);
  const warp = createWarpSource();
  const photo = new ImageLayer({ className: "view-warp", source: warp.source, zIndex: 10, visible: false });
  const surroundings = createSurroundings();
  const outlines = outlineLayers();
  for (const layer of [photo, ...outlines.layers, ...Object.values(surroundings.layers)]) stage.map.addLayer(layer);
  const layers: Record<LayerName, BaseLayer[]> = {
    coast: outlines.layers,
    names: [addPlaceNames(stage.map)],
    track: [surroundings.layers.track],
    outline: [surroundings.layers.outline],
  };
  addScaleBar(stage);
  stage.map.setView(new View({ center: [0, 0], zoom: 2, maxZoom: 16, showFullExtent: true, constrainRotation: false }));
  let frame: Frame | null = null;
  let camera: Camera | null = null;
  const fit = stage.fitting((view) => {
    view.fit(new MultiPoint(framePlaces(frame, camera)), { padding: [MARGIN_PX, MARGIN_PX, MARGIN_PX, MARGIN_PX], maxZoom: 12 });
  });
  const inView = (place: LonLat) => stage.near(toMercator(place), stage.view.getCenter() ?? [0, 0]);
  return {
    stage,
    base,
    fit,
    show(next: Frame, preview: ImageBitmap | null): void {
      frame = next;
      base.open(next.reference);
      outlines.start();
      surroundings.setFrame(next);
      warp.setPhoto(next, preview);
    },
    setCamera(next: Camera | null): void {
      const first = !camera && next !== null;
      camera = next;
      surroundings.setCamera(next);
      warp.setCamera(next);
      if (first) fit.now();
    },
    setPhoto: (over: boolean) => photo.setVisible(over),
    setLayer(name: LayerName, { on, opacity }: LayerState): void {
      for (const layer of layers[name]) {
        layer.setVisible(on);
        layer.setOpacity(opacity);
      }
    },
    /** Turn the view, radians clockwise from north up. */
    turn: (turn: number) => stage.view.setRotation(turn),
    retry(): void {
      base.retry();
      warp.source.changed();
      outlines.retry();
    },
    goTo(place: LonLat, km: number): void {
      const wide = (km * 1000) / Math.cos((place[1] * Math.PI) / 180);
      stage.view.setCenter(inView(place));
      stage.view.setResolution(wide / Math.max(1, Math.min(...stage.size)));
    },
    /** Centre between two places that lie so many screen pixels apart. */
    follow(a: LonLat, b: LonLat, apart_px: number): void {
      const from = inView(a);
      stage.centreBetween(from, stage.near(toMercator(b), from), apart_px);
    },
    /** Show a guess, and around it where else it may be by the places that are known already. */
    seek(guess: LonLat, known: LonLat[], like: Likeness): void {
      if (known.length === 0) return stage.reveal(toMercator(guess));
      const at = inView(guess);
      const places = known.map((place) => nearestCopy(toMercator(place), at[0]!));
      const way = Math.min(...places.map((place) => distance(place, at)));
      // One place tells how far the guess is from it, and nothing of the direction
      const sure = known.length > 1;
      const [centre, radius] = sure ? [at, UNSURE * way] : [places[0]!, way];
      const least = Math.min(...stage.size);
      const needed = (2 * radius) / Math.max(1, least - 2 * MARGIN_PX);
      const [from, to] = like.ends.map((place) => place && nearestCopy(toMercator(place), at[0]!));
      const scale = from && to ? distance(from, to) / like.apart_px : needed;
      const coarsest = sure ? Math.max(needed, FINEST_SHARE * scale) : needed;
      const now = stage.view.getResolution() ?? coarsest;
      const room = (least / 2 - MARGIN_PX) * now - radius;
      const seen = distance(stage.view.getCenter() ?? centre, centre) <= room;
      if (seen && now <= TOLERATED * coarsest) return;
      const turned = like.turn === null ? {} : { rotation: like.turn };
      const resolution = Math.min(Math.max(now, needed), coarsest);
      stage.view.animate({ center: centre, resolution, ...turned, duration: SEEK_MS });
    },
  };
}
