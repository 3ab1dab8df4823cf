// The layer of the photo in its own view: the preview, and tiles where it is too coarse.

import type { Coordinate } from "ol/coordinate";
import type { FrameState } from "ol/Map";
import Layer from "ol/layer/Layer";
import type { Frame } from "../types";
import { element } from "../work/dom";
import { createTileTextures, detailTiles, type TileTextures } from "./detail";
import type { Part } from "./mesh";
import { pixelToPlane } from "./pixel_plane";

interface Photo {
  frame: Frame;
  preview: ImageBitmap;
  width_px: number;
  height_px: number;
  tiles: TileTextures;
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
    this.photo = null;
    if (preview && width_px && height_px) {
      const tiles = createTileTextures(frame, () => this.redraw());
      this.photo = { frame, preview, width_px, height_px, tiles };
    }
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

  /** Draw anew, and ask for the tiles that are missing. */
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
  private paint(context: CanvasRenderingContext2D, photo: Photo, scale: number): void {
    const { frame, preview, tiles, width_px, height_px } = photo;
    const [edge] = pixelToPlane([-0.5, -0.5]);
    if (edge) context.transform(-1, 0, 0, 1, edge, 0); // it is stored mirrored
    context.drawImage(preview, 0, 0, width_px, height_px);
    if (scale * width_px <= preview.width) return;
    for (const tile of detailTiles(frame, partOnCanvas(context, photo), scale)) {
      const picture = tiles.get(tile);
      if (!picture) continue;
      const perPixel = 2 ** (tile.z - frame.max_zoom);
      const [left, top, right, bottom] = tile.part;
      const [wide, high] = [right - left, bottom - top];
      // tiles at the edge are whole, the edge repeated: no more than the photo is drawn
      context.drawImage(picture, 0, 0, wide * perPixel, high * perPixel, left + 0.5, top + 0.5, wide, high);
    }
  }
}

function partOnCanvas(context: CanvasRenderingContext2D, { width_px, height_px }: Photo): Part {
  const back = context.getTransform().inverse();
  const { width, height } = context.canvas;
  const corners = [[0, 0], [width, 0], [width, height], [0, height]];
  const at = corners.map(([x, y]) => back.transformPoint({ x: x!, y: y! }));
  const [xs, ys] = [at.map(({ x }) => x), at.map(({ y }) => y)];
  return [
    Math.max(0, Math.min(...xs)) - 0.5,
    Math.max(0, Math.min(...ys)) - 0.5,
    Math.min(width_px, Math.max(...xs)) - 0.5,
    Math.min(height_px, Math.max(...ys)) - 0.5,
  ];
}
