// The layer of the photo in its own view. While the view moves, what was drawn is moved by the
// compositor; it is drawn anew at rest, or where the view comes to its edge.

import type { Coordinate } from "ol/coordinate";
import type { FrameState } from "ol/Map";
import Layer from "ol/layer/Layer";
import { apply, compose, create, invert, multiply, type Transform } from "ol/transform";
import type { Frame } from "../types";
import { detailTiles } from "./detail";
import type { Part } from "./mesh";
import { pixelToPlane } from "./pixel_plane";
import { createTileTextures, type TileTextures } from "./tile_textures";

const MARGIN = 0.2; // of the view's size, drawn on each side of it
const MOST_STRETCH = 1.6; // of what was drawn, while the view zooms

interface Photo {
  frame: Frame;
  preview: ImageBitmap;
  width_px: number;
  height_px: number;
  tiles: TileTextures;
}

export class PhotoLayer extends Layer {
  readonly element = document.createElement("div");
  private readonly canvas = document.createElement("canvas");
  private photo: Photo | null = null;
  /** From places of the plane to pixels of the canvas (of CSS), when it was drawn. */
  private drawn: Transform | null = null;
  private room: [number, number] = [0, 0]; // of the canvas, pixels of CSS
  private told: (() => void) | null = null;

  constructor() {
    super({ className: "view-photo" });
    this.element.className = "view-photo";
    this.element.append(this.canvas);
  }

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
    if (!state || !this.photo) {
      this.canvas.hidden = true;
      return this.element;
    }
    this.canvas.hidden = false;
    const now = state.coordinateToPixelTransform as Transform;
    const moving = state.viewHints.some((hint) => hint > 0);
    if (!this.drawn || !this.covers(state, now, moving)) this.draw(state, now, this.photo);
    const shift = multiply(now.slice() as Transform, invert(this.drawn!.slice() as Transform));
    this.canvas.style.transform = `matrix(${shift.join(", ")})`;
    this.told?.();
    this.told = null;
    return this.element;
  }

  /** Draw anew, and ask for the tiles that are missing. */
  redraw(): void {
    this.drawn = null;
    this.changed();
  }

  /** Whether what was drawn will do for the view as it is now. */
  private covers({ size }: FrameState, now: Transform, moving: boolean): boolean {
    const drawn = this.drawn!;
    const back = multiply(drawn.slice() as Transform, invert(now.slice() as Transform));
    const [a, b, , , e, f] = back as number[];
    const [width, height] = size as [number, number];
    const inside = [[0, 0], [width, 0], [width, height], [0, height]].every((corner) => {
      const [x, y] = apply(back, corner) as [number, number];
      return x >= 0 && y >= 0 && x <= this.room[0] && y <= this.room[1];
    });
    if (!inside) return false;
    const stretch = Math.hypot(a!, b!);
    if (moving) return stretch < MOST_STRETCH && stretch > 1 / MOST_STRETCH;
    // at rest each pixel lies on one of the screen
    return [a! - 1, b!, e! - Math.round(e!), f! - Math.round(f!)].every((off) => Math.abs(off) < 1e-6);
  }

  private draw({ size, pixelRatio }: FrameState, now: Transform, photo: Photo): void {
    const [width, height] = size.map((each) => Math.round(each * (1 + 2 * MARGIN))) as [number, number];
    const offset = size.map((each) => Math.round(each * MARGIN)) as [number, number];
    const drawn = compose(create(), offset[0], offset[1], 1, 1, 0, 0, 0);
    this.drawn = multiply(drawn, now);
    this.room = [width, height];
    const { canvas } = this;
    canvas.width = Math.round(width * pixelRatio);
    canvas.height = Math.round(height * pixelRatio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d")!;
    // pixels of the photo run down, the plane runs up
    const [a, b, c, d, e, f] = this.drawn.map((each) => each * pixelRatio) as Transform & number[];
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
