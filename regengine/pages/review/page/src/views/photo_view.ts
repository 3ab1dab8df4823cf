// The photo, turned as it was held or with north up, and the control points on it.

import View from "ol/View";
import type { Camera, Frame } from "../types";
import type { ViewEvents, Work } from "../view_types";
import { northTurn } from "./ground";
import { PhotoLayer } from "./photo_layer";
import { pixelProjection, pixelToPlane, planeToPixel, uprightTurn, usePlane, type Pixel } from "./pixel_plane";
import { Stage } from "./stage";

const LOUPE_SCALE = 1; // of the screen for a pixel of the photo: lamps are as sharp as they are
const FINEST = 1 / 16; // pixels of the photo in one of the screen

export type PhotoView = ReturnType<typeof createPhotoView>;

export function createPhotoView(host: HTMLElement, work: Work, events: ViewEvents) {
  const layer = new PhotoLayer({});
  const stage: Stage = new Stage(host, "photo", work, events, (context, at, times) => {
    const scale = Math.max(times / (stage.view.getResolution() ?? 1), LOUPE_SCALE);
    layer.drawAround(context, at, scale, stage.view.getRotation());
  });
  stage.map.addLayer(layer);
  let frame: Frame | null = null;
  const upright = () => uprightTurn(frame?.orientation ?? 1);
  const fit = stage.fitting((view) => {
    if (!frame?.width_px || !frame.height_px) return;
    view.fit([0, -frame.height_px, frame.width_px, 0], { padding: [8, 8, 8, 8] });
  });
  return {
    stage,
    fit,
    /** Ask again for tiles that could not be fetched. */
    retry: () => layer.redraw(),
    /** Resolves when the preview is drawn. */
    async show(next: Frame, picture: ImageBitmap | null): Promise<void> {
      frame = next;
      const { width_px, height_px, orientation } = next;
      host.classList.toggle("without-photo", !picture);
      if (width_px && height_px) {
        usePlane(width_px, orientation);
        stage.map.setView(photoPlane(width_px, height_px, upright()));
      }
      fit.now();
      await layer.setPhoto(next, picture);
    },
    /** Turn the view so that north is up; null: upright, as the photo was held. */
    turnNorth(camera: Camera | null): void {
      const untouched = fit.untouched();
      stage.view.setRotation((camera && northTurn(camera)) ?? upright());
      if (untouched) fit.now();
    },
    /** Which way is up in the photo as it was held, pixels. */
    up(): Pixel {
      const [from, to] = [planeToPixel([0, 0]), planeToPixel([-Math.sin(upright()), Math.cos(upright())])];
      return [to[0] - from[0], to[1] - from[1]];
    },
    /** Centre between two pixels that lie so many screen pixels apart, or, for null, as far as they do
     *  now: no further than the photo's edge. */
    follow(a: Pixel, b: Pixel, apart_px: number | null): void {
      stage.view.setCenter(pixelToPlane([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]));
      if (apart_px) stage.view.setResolution(Math.hypot(b[0] - a[0], b[1] - a[1]) / apart_px);
    },
  };
}

function photoPlane(width_px: number, height_px: number, rotation: number): View {
  return new View({
    projection: pixelProjection(width_px, height_px),
    center: [width_px / 2, -height_px / 2],
    resolution: 1,
    minResolution: FINEST,
    maxResolution: Math.max(width_px, height_px) / 200,
    rotation,
    extent: [0, -height_px, width_px, 0],
    constrainOnlyCenter: true,
    showFullExtent: true,
  });
}
