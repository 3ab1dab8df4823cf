// The photo as stored, turned as it was held or with north up, and the control points on it.

import View from "ol/View";
import type { Camera, Frame } from "../types";
import type { Adjuster } from "./adjust";
import { fitting } from "./fitting";
import { createLoupe, type Loupe } from "./loupe";
import { northTurn } from "./north";
import { PhotoLayer } from "./photo_layer";
import { pixelProjection, pixelToPlane, planeToPixel, uprightTurn, type Pixel } from "./pixel_plane";
import { createStage, type Stage, type StageHooks } from "./stage";

export interface PhotoView {
  stage: Stage;
  /** Resolves when the preview is drawn. */
  show(frame: Frame, preview: ImageBitmap | null): Promise<void>;
  /** Turn the view so that north is up; null: upright, as the photo was held. */
  turnNorth(camera: Camera | null): void;
  /** Which way is up in the photo as it was held, pixels. */
  up(): Pixel;
  fit(): void;
  /** Ask again for tiles that could not be fetched. */
  retry(): void;
  /** Whether nobody has moved the view since it was fitted last. */
  untouched(): boolean;
  /** Pixels on both sides of one, or of the view's middle, so many screen pixels apart. */
  ends(apart_px: number, about?: Pixel): Pixel[];
  /** Centre between two pixels that lie so many screen pixels apart, or, for null, as far as they do
   *  now: no further than the photo's edge. */
  follow(a: Pixel, b: Pixel, apart_px: number | null): void;
  loupe: Loupe;
}

const LOUPE_SCALE = 1; // of the screen for a pixel of the photo: lamps are as sharp as they are
const FINEST = 1 / 16; // pixels of the photo in one of the screen

export function createPhotoView(host: HTMLElement, hooks: StageHooks, adjuster: Adjuster): PhotoView {
  const stage = createStage(host, hooks, false, (at) => at);
  const layer = new PhotoLayer();
  adjuster.filter("photo", layer.element, false);
  stage.map.addLayer(layer);
  const loupe = createLoupe(
    stage.map,
    (context, at, times) => {
      const view = stage.map.getView();
      const scale = Math.max(times / (view.getResolution() ?? 1), LOUPE_SCALE);
      layer.drawAround(context, at, scale, view.getRotation());
    },
    (canvas) => adjuster.filter("photo", canvas, false),
  );
  let frame: Frame | null = null;
  const fit = fitting(stage.map, (view) => {
    if (!frame?.width_px || !frame.height_px) return;
    view.fit([0, -frame.height_px, frame.width_px, 0], { padding: [8, 8, 8, 8] });
  });
  return {
    stage,
    fit: fit.now,
    retry: () => layer.redraw(),
    untouched: fit.untouched,
    async show(next, picture) {
      frame = next;
      const { width_px, height_px, orientation } = next;
      host.classList.toggle("without-photo", !picture);
      if (width_px && height_px) stage.map.setView(photoPlane(width_px, height_px, orientation));
      fit.now();
      await layer.setPhoto(next, picture);
    },
    turnNorth(camera) {
      const turn = camera && northTurn(camera);
      const untouched = fit.untouched();
      stage.map.getView().setRotation(turn ?? uprightTurn(frame?.orientation ?? 1));
      if (untouched) fit.now();
    },
    up() {
      const turn = uprightTurn(frame?.orientation ?? 1);
      return [-Math.sin(turn), -Math.cos(turn)];
    },
    ends(apart_px, about) {
      const centre = about ? pixelToPlane(about) : stage.map.getView().getCenter();
      if (!centre) return [];
      return [-apart_px / 2, apart_px / 2].map((dx) => planeToPixel(stage.shifted(centre, dx, 0)));
    },
    follow(a, b, apart_px) {
      const view = stage.map.getView();
      view.setCenter(pixelToPlane([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]));
      if (apart_px) view.setResolution(Math.hypot(b[0] - a[0], b[1] - a[1]) / apart_px);
    },
    loupe,
  };
}

function photoPlane(width_px: number, height_px: number, orientation: number): View {
  return new View({
    projection: pixelProjection(width_px, height_px),
    center: pixelToPlane([width_px / 2, height_px / 2]),
    resolution: 1,
    minResolution: FINEST,
    maxResolution: Math.max(width_px, height_px) / 200,
    rotation: uprightTurn(orientation),
    extent: [0, -height_px, width_px, 0],
    constrainOnlyCenter: true,
    showFullExtent: true,
  });
}
