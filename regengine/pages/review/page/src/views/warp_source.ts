// The photo over the map: its preview drawn through the camera, and the photo at full size where that is
// too coarse.

import type { Extent } from "ol/extent";
import { lonLatToPixel } from "../geometry/camera";
import type { Camera, Frame } from "../types";
import { toLonLat } from "./mercator";
import { flatMesh, groundMesh, wholePhoto, type MeshTriangle, type Part } from "./mesh";
import { PREVIEW_PX, sharper, type Sharper } from "./previews";
import { drawMesh, drawnSource, typicalScale, type Target } from "./warp";

const MOST_OFF = 0.5; // pixels of the preview
const TOO_COARSE = 1.3; // pixels of the screen for one of the preview
const STEPS = 12;
const MARGIN = 0.1;

export function createWarpSource() {
  let preview: ImageBitmap | null = null;
  let camera: Camera | null = null;
  // made when they are first drawn: beside each other, the views need neither
  let levels: HTMLCanvasElement[] | null = null;
  let mesh: MeshTriangle[] | null = null;
  let whole: Sharper = () => null;

  const draw = (target: Target) => {
    if (!camera || !preview) return;
    const shows = wholePhoto(camera);
    levels ??= halvings(preview);
    mesh ??= flatMesh(camera, shows, MOST_OFF * Math.max(1, camera.width_px / PREVIEW_PX));
    const texel = typicalScale(mesh) * target.scale * (camera.width_px / preview.width); // of the screen
    const sharp = texel > TOO_COARSE ? whole() : null;
    const part = sharp && partInSight(camera, target.extent);
    if (sharp && part) return drawMesh(target, groundMesh(camera, part, 2 * STEPS, 2 * STEPS), sharp, shows);
    const level = Math.max(0, Math.min(levels.length - 1, Math.floor(-Math.log2(texel))));
    drawMesh(target, mesh, levels[level]!, shows);
  };

  const source = drawnSource("EPSG:3857", draw);
  return {
    source,
    setPhoto(next: Frame, picture: ImageBitmap | null): void {
      whole = sharper(next, () => source.changed());
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

/** The part of the photo that an extent of the map shows; null where there is none. */
export function partInSight(camera: Camera, [left, bottom, right, top]: Extent): Part | null {
  const xs: number[] = [];
  const ys: number[] = [];
  for (let i = 0; i <= STEPS; i++) {
    for (let j = 0; j <= STEPS; j++) {
      const at = [left! + ((right! - left!) * i) / STEPS, bottom! + ((top! - bottom!) * j) / STEPS];
      const pixel = lonLatToPixel(camera, ...toLonLat(at));
      if (!pixel) continue;
      xs.push(pixel[0]);
      ys.push(pixel[1]);
    }
  }
  if (xs.length === 0) return null;
  const [west, east] = widened(Math.min(...xs), Math.max(...xs), camera.width_px);
  const [upper, lower] = widened(Math.min(...ys), Math.max(...ys), camera.height_px);
  return west < east && upper < lower ? [west, upper, east, lower] : null;
}

function widened(least: number, most: number, size: number): [number, number] {
  const margin = MARGIN * (most - least);
  return [Math.max(-0.5, least - margin), Math.min(size - 0.5, most + margin)];
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
