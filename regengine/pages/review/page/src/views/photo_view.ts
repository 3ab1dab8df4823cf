// The photo, turned as it was held or with north up, and the control points on it.

import type { Coordinate } from "ol/coordinate";
import Layer from "ol/layer/Layer";
import type { FrameState } from "ol/Map";
import { clamp } from "ol/math";
import View from "ol/View";
import type { Camera, Frame, ViewEvents, Work } from "../types";
import { element } from "../work/dom";
import { northTurn } from "./ground";
import { type Pixel, pixelProjection, pixelToPlane, planeToPixel, uprightTurn, usePlane } from "./planes";
import { sharper, type Sharper } from "./previews";
import { addScaleBar } from "./scale_bar";
import { Stage } from "./stage";

const LOUPE_SCALE = 1; // of the screen for a pixel of the photo: lamps are as sharp as they are
const ROOM_PX = { left: 44, right: 121 }; // beside the photo: zoom; the view's buttons with a label
const FINEST = 1 / 16; // pixels of the photo in one of the screen

export type PhotoView = ReturnType<typeof createPhotoView>;

export function createPhotoView(host: HTMLElement, work: Work, events: ViewEvents) {
  const layer = new PhotoLayer({});
  const stage = new Stage(host, "photo", work, events);
  stage.map.addLayer(layer);
  addScaleBar(stage);
  let frame: Frame | null = null;
  const upright = () => uprightTurn(frame?.orientation ?? 1);
  const fit = stage.fitting((view) => {
    if (!frame?.width_px || !frame.height_px) return;
    view.fit([0, -frame.height_px, frame.width_px, 0], { padding: [8, 8, 8, 8] });
    // Beside the buttons, labels of points at the photo's edge have room
    if (host.parentElement!.dataset.split !== "above") return;
    const turn = view.getRotation();
    const wide_px = (Math.abs(Math.cos(turn)) * frame.width_px + Math.abs(Math.sin(turn)) * frame.height_px) / view.getResolution()!;
    const beside_px = (stage.size[0] - wide_px) / 2;
    view.setCenter(stage.shifted(view.getCenter()!, clamp(ROOM_PX.right - beside_px, 0, Math.max(0, beside_px - ROOM_PX.left)), 0));
  });
  return {
    stage,
    fit,
    /** The photo itself is sharper than what is on the screen. */
    drawLoupe(context: CanvasRenderingContext2D, at: Coordinate, times: number): void {
      const scale = Math.max(times / (stage.view.getResolution() ?? 1), LOUPE_SCALE);
      const { width, height } = context.canvas;
      context.translate(width / 2, height / 2);
      context.rotate(stage.view.getRotation());
      context.scale(scale, scale);
      context.translate(-at[0]!, at[1]!);
      layer.paint(context, scale);
    },
    retry: () => layer.redraw(),
    /** Resolves when the preview is drawn. */
    async show(next: Frame, picture: ImageBitmap | null): Promise<void> {
      frame = next;
      const { width_px, height_px, orientation } = next;
      host.classList.toggle("without-photo", !picture);
      if (width_px && height_px) {
        usePlane(width_px, orientation);
        stage.map.setView(
          new View({
            projection: pixelProjection(width_px, height_px),
            center: [width_px / 2, -height_px / 2],
            resolution: 1,
            minResolution: FINEST,
            maxResolution: Math.max(width_px, height_px) / 200,
            rotation: upright(),
            extent: [0, -height_px, width_px, 0],
            constrainOnlyCenter: true,
            showFullExtent: true,
          }),
        );
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
  };
}

class PhotoLayer extends Layer {
  private readonly canvas = element("canvas");
  // A bare canvas would be drawn upon by the layers above it
  private readonly box = element("div", { className: "view-photo" }, this.canvas);
  private photo: { preview: ImageBitmap; whole: Sharper; width_px: number; height_px: number } | null = null;
  /** The view that was drawn last: what is on the canvas will do as long as it stays. */
  private drawn = "";
  private told: (() => void) | null = null;

  /** Resolves when it is drawn; null shows nothing. */
  setPhoto(frame: Frame, preview: ImageBitmap | null): Promise<void> {
    const { width_px, height_px } = frame;
    this.told?.();
    this.told = null;
    this.photo = preview && width_px && height_px ? { preview, whole: sharper(frame, () => this.redraw()), width_px, height_px } : null;
    this.redraw();
    return this.photo ? new Promise((drawn) => (this.told = drawn)) : Promise.resolve();
  }

  override render(state: FrameState | null): HTMLElement {
    this.canvas.hidden = !state || !this.photo;
    if (!state || !this.photo) return this.box;
    const view = [...state.coordinateToPixelTransform, ...state.size, state.pixelRatio].join(" ");
    if (view !== this.drawn) this.draw(state);
    this.drawn = view;
    this.told?.();
    this.told = null;
    return this.box;
  }

  redraw(): void {
    this.drawn = "";
    this.changed();
  }

  private draw({ size, pixelRatio, coordinateToPixelTransform }: FrameState): void {
    const [width, height] = size.map((each) => Math.round(each * pixelRatio)) as [number, number];
    Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext("2d")!;
    // pixels of the photo run down, the plane runs up
    const [a, b, c, d, e, f] = coordinateToPixelTransform.map((each) => each * pixelRatio);
    context.setTransform(a!, b!, -c!, -d!, e!, f!);
    this.paint(context, Math.hypot(a!, b!));
  }

  /** Onto a canvas whose unit is a pixel of the plane, X to the right, Y down. */
  paint(context: CanvasRenderingContext2D, scale: number): void {
    if (!this.photo) return;
    const { preview, whole, width_px, height_px } = this.photo;
    const [edge] = pixelToPlane([-0.5, -0.5]);
    if (edge) context.transform(-1, 0, 0, 1, edge, 0); // it is stored mirrored
    context.drawImage((scale * width_px > preview.width && whole()) || preview, 0, 0, width_px, height_px);
  }
}
