// The photo over the map: its preview drawn through the camera, and tiles where that is too coarse.

import type { Extent } from "ol/extent";
import ImageCanvas from "ol/source/ImageCanvas";
import type { Camera, Frame } from "../types";
import { createTileTextures, detailTiles, partInSight, type TileTextures } from "./detail";
import { flatMesh, groundMesh, wholePhoto, type MeshTriangle, type Part } from "./mesh";
import { PREVIEW_PX } from "./previews";
import { drawMesh, typicalScale, type Target } from "./warp";

const MOST_OFF = 0.5; // pixels of the preview
const TOO_COARSE = 1.3; // pixels of the screen for one of the preview

export function createWarpSource() {
  let preview: ImageBitmap | null = null;
  let camera: Camera | null = null;
  // made when they are first drawn: beside each other, the views need neither
  let levels: HTMLCanvasElement[] | null = null;
  let mesh: MeshTriangle[] | null = null;
  let frame: Frame | null = null;
  let tiles: TileTextures | null = null;

  const draw = (target: Target) => {
    if (!camera || !preview) return;
    levels ??= halvings(preview);
    mesh ??= meshOf(camera);
    const screen = typicalScale(mesh) * target.scale; // of the screen for one of the photo
    const texel = screen * (camera.width_px / preview.width);
    const level = Math.max(0, Math.min(levels.length - 1, Math.floor(-Math.log2(texel))));
    drawMesh(target, mesh, levels[level]!, wholePhoto(camera));
    if (texel > TOO_COARSE) drawDetail(target, camera, screen);
  };

  const drawDetail = (target: Target, seenBy: Camera, screen: number) => {
    const part = partInSight(seenBy, target.extent);
    if (!part || !frame || !tiles) return;
    for (const tile of detailTiles(frame, part, screen)) {
      const picture = tiles.get(tile);
      if (!picture) continue;
      const span = frame.tile_px * 2 ** (frame.max_zoom - tile.z);
      const [left, top] = tile.part;
      const whole: Part = [left, top, left + span, top + span];
      drawMesh(target, groundMesh(seenBy, tile.part, 4, 4), picture, whole);
    }
  };

  const source = new ImageCanvas({
    projection: "EPSG:3857",
    ratio: 1.25,
    canvasFunction: (extent: Extent, resolution, pixelRatio, [width, height]) => {
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(width!);
      canvas.height = Math.round(height!);
      draw({ context: canvas.getContext("2d")!, extent, scale: pixelRatio / resolution });
      return canvas;
    },
  });
  return {
    source,
    setPhoto(next: Frame, picture: ImageBitmap | null): void {
      frame = next;
      tiles = createTileTextures(next, () => source.changed());
      preview = picture;
      levels = null;
      source.changed();
    },
    setCamera(next: Camera | null): void {
      camera = next;
      mesh = null;
      source.changed();
    },
  };
}

function meshOf(camera: Camera): MeshTriangle[] {
  return flatMesh(camera, wholePhoto(camera), MOST_OFF * Math.max(1, camera.width_px / PREVIEW_PX));
}

/** The texture at full size, half, quarter and so on: small lights survive being drawn small. */
function halvings(texture: ImageBitmap): HTMLCanvasElement[] {
  const levels: HTMLCanvasElement[] = [];
  let [width, height] = [texture.width, texture.height];
  let from: CanvasImageSource = texture;
  do {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d")!.drawImage(from, 0, 0, width, height);
    levels.push(canvas);
    from = canvas;
    [width, height] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  } while (levels.length < 4 && Math.min(width, height) > 64);
  return levels;
}
