// The photo as stored, turned as it was held or with north up, and the control points on it.

import View from "ol/View";
import type { Camera, Frame } from "../types";
import type { Adjuster } from "./adjust";
import { fitting } from "./fitting";
import { northTurn } from "./north";
import { PhotoLayer } from "./photo_layer";
import { pixelProjection, pixelToPlane, planeToPixel, uprightTurn, type Pixel } from "./pixel_plane";
import { createStage, type Stage, type StageHooks } from "./stage";

export interface PhotoView {
  stage: Stage;
  /** Resolves when the preview is drawn. */
  show(frame: Frame, preview: ImageBitmap | null): Promise<void>;
  /** Turn the view so that north is up; null: as the photo was held. */
  turnNorth(camera: Camera | null): void;
  fit(): void;
  /** Ask again for tiles that could not be fetched. */
  retry(): void;
  /** Whether nobody has moved the view since it was fitted last. */
  untouched(): boolean;
  /** Pixel in the middle of the view and screen pixels of a pixel. */
  middle(): { pixel: Pixel; resolution: number } | null;
}

const FINEST = 1 / 16; // pixels of the photo in one of the screen

export function createPhotoView(host: HTMLElement, hooks: StageHooks, adjuster: Adjuster, lost: () => void): PhotoView {
  const stage = createStage(host, hooks, false, (at) => at);
  const layer = new PhotoLayer(lost);
  adjuster.filter("photo", layer.element);
  stage.map.addLayer(layer);
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
    middle() {
      const view = stage.map.getView();
      const [centre, resolution] = [view.getCenter(), view.getResolution()];
      return centre && resolution ? { pixel: planeToPixel(centre), resolution } : null;
    },
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
