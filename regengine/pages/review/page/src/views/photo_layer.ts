// The layer of the photo in its own view: the preview, and the photo at full size where that is too coarse.

import type { Coordinate } from "ol/coordinate";
import type { FrameState } from "ol/Map";
import Layer from "ol/layer/Layer";
import type { Frame } from "../types";
import { element } from "../work/dom";
import { pixelToPlane } from "./pixel_plane";
import { sharper, type Sharper } from "./previews";

interface Photo {
  preview: ImageBitmap;
  whole: Sharper;
  width_px: number;
  height_px: number;
}

export class PhotoLayer extends Layer {
  private readonly canvas = element("canvas");
  // A bare canvas would be drawn upon by the layers above it
  private readonly box = element("div", { className: "view-photo" }, this.canvas);
  private photo: Photo | null = null;
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

  /** A part of the photo around a coordinate, into the middle of another canvas. */
  drawAround(context: CanvasRenderingContext2D, at: Coordinate, scale: number, turn: number): void {
    if (!this.photo) return;
    const { width, height } = context.canvas;
    context.translate(width / 2, height / 2);
    context.rotate(turn);
    context.scale(scale, scale);
    context.translate(-at[0]!, at[1]!);
    this.paint(context, this.photo, scale);
  }

  override render(state: FrameState | null): HTMLElement {
    this.canvas.hidden = !state || !this.photo;
    if (!state || !this.photo) return this.box;
    const view = [...state.coordinateToPixelTransform, ...state.size, state.pixelRatio].join(" ");
    if (view !== this.drawn) this.draw(state, this.photo);
    this.drawn = view;
    this.told?.();
    this.told = null;
    return this.box;
  }

  /** Draw anew, and ask again for what is missing. */
  redraw(): void {
    this.drawn = "";
    this.changed();
  }

  private draw({ size, pixelRatio, coordinateToPixelTransform }: FrameState, photo: Photo): void {
    const [width, height] = size.map((each) => Math.round(each * pixelRatio)) as [number, number];
    Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext("2d")!;
    // pixels of the photo run down, the plane runs up
    const [a, b, c, d, e, f] = coordinateToPixelTransform.map((each) => each * pixelRatio);
    context.setTransform(a!, b!, -c!, -d!, e!, f!);
    this.paint(context, photo, Math.hypot(a!, b!));
  }

  /** Onto a canvas whose unit is a pixel of the plane, X to the right, Y down. */
  private paint(context: CanvasRenderingContext2D, { preview, whole, width_px, height_px }: Photo, scale: number): void {
    const [edge] = pixelToPlane([-0.5, -0.5]);
    if (edge) context.transform(-1, 0, 0, 1, edge, 0); // it is stored mirrored
    context.drawImage((scale * width_px > preview.width && whole()) || preview, 0, 0, width_px, height_px);
  }
}
