// The photo over the map: its preview drawn through the camera, and the photo at full size where that is
// too coarse, as textured triangles on a 2-D canvas, each an affine picture of its part of the texture.

import { type Coordinate, distance } from "ol/coordinate";
import { boundingExtent, type Extent, intersects } from "ol/extent";
import type { ProjectionLike } from "ol/proj";
import ImageCanvas from "ol/source/ImageCanvas";
import { create, determinant, makeInverse, multiply } from "ol/transform";
import type { Camera, Frame } from "../types";
import { element } from "../work/dom";
import { extentOf, flatMesh, type MeshTriangle, type Vertex } from "./ground";
import { WORLD_M } from "./planes";
import { PREVIEW_PX, sharper, type Sharper } from "./previews";

/** Where it is drawn: a canvas that shows an extent at so many of its pixels for a metre. */
export interface Target {
  context: CanvasRenderingContext2D;
  extent: Extent;
  scale: number;
}

/** A picture of the layer that is drawn anew for what is in view. */
export function drawnSource(projection: ProjectionLike, draw: (target: Target) => void): ImageCanvas {
  return new ImageCanvas({
    projection,
    ratio: 1.25,
    canvasFunction: (extent, resolution, pixelRatio, [width, height]) => {
      const canvas = element("canvas", { width: Math.round(width!), height: Math.round(height!) });
      draw({ context: canvas.getContext("2d")!, extent, scale: pixelRatio / resolution });
      return canvas;
    },
  });
}

type Texture = HTMLCanvasElement | ImageBitmap;

/** A picture of the whole photo, where its mesh lies on the map. */
function drawMesh({ context, extent, scale }: Target, mesh: MeshTriangle[], texture: Texture, { width_px, height_px }: Camera): void {
  const [across, down] = [texture.width / width_px, texture.height / height_px];
  const [least, , most] = extentOf(mesh);
  // Copies of the Earth in which the mesh meets the extent
  for (let world = Math.ceil((extent[0]! - most!) / WORLD_M) * WORLD_M; least! + world <= extent[2]!; world += WORLD_M) {
    drawTriangles(
      context,
      mesh,
      texture,
      ({ pixel }) => [(pixel[0] + 0.5) * across, (pixel[1] + 0.5) * down],
      ({ at }) => [(at[0]! + world - extent[0]!) * scale, (extent[3]! - at[1]!) * scale],
    );
  }
}

/** `from`, `to`: where a vertex lies in the texture and on the canvas. */
export function drawTriangles(
  context: CanvasRenderingContext2D,
  mesh: MeshTriangle[],
  texture: Texture,
  from: (vertex: Vertex) => Coordinate,
  to: (vertex: Vertex) => Coordinate,
): void {
  const canvas = [0, 0, context.canvas.width, context.canvas.height];
  context.fillStyle = context.createPattern(texture, "no-repeat")!;
  for (const triangle of mesh) {
    const target = triangle.map(to) as Triangle;
    const affine = intersects(boundingExtent(target), canvas) && affineBetween(triangle.map(from) as Triangle, target);
    if (!affine) continue;
    // The path stays, the pattern moves with the texture
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.beginPath();
    for (const [x, y] of grown(target)) context.lineTo(x!, y!);
    context.setTransform(...affine);
    context.fill();
  }
}

/** Mercator metres of a pixel, in the middle of all triangles. */
export function typicalScale(mesh: MeshTriangle[]): number {
  const scales = mesh.map(([a, , c]) => distance(a.at, c.at) / distance(a.pixel, c.pixel));
  return scales.sort((a, b) => a - b)[scales.length >> 1] ?? 1;
}

export type Triangle = [Coordinate, Coordinate, Coordinate];
type Affine = [number, number, number, number, number, number];

/** The affine map that takes one triangle into another, as of setTransform; null where the first has no area. */
export function affineBetween(from: Triangle, to: Triangle): Affine | null {
  const [start, end] = [from, to].map(([a, b, c]) => [b[0]! - a[0]!, b[1]! - a[1]!, c[0]! - a[0]!, c[1]! - a[1]!, a[0]!, a[1]!]);
  return Math.abs(determinant(start!)) < 1e-12 ? null : (multiply(end!, makeInverse(create(), start!)) as Affine);
}

/** The triangle with its corners moved away from its middle, so that no seam shows between neighbours. */
export function grown(triangle: Triangle): Triangle {
  const [x, y] = [0, 1].map((axis) => triangle.reduce((sum, at) => sum + at[axis]! / 3, 0)) as [number, number];
  return triangle.map((at) => {
    const [right, down] = [at[0]! - x, at[1]! - y];
    const out = GROWN_PX / Math.max(1, Math.hypot(right, down));
    return [at[0]! + right * out, at[1]! + down * out];
  }) as Triangle;
}

const GROWN_PX = 1.5; // of a corner: its sides move by a third of that, or more
const MAX_OFF = 0.5; // pixels of the texture
const TOO_COARSE = 1.3; // pixels of the screen for one of the preview

export function createWarpSource() {
  let preview: ImageBitmap | null = null;
  let camera: Camera | null = null;
  let whole: Sharper = () => null;
  // made when they are first drawn: beside each other, the views need none
  let levels: HTMLCanvasElement[] | null = null;
  let mesh: MeshTriangle[] | null = null;
  let fineMesh: MeshTriangle[] | null = null;

  const draw = (target: Target) => {
    if (!camera || !preview) return;
    levels ??= halvings(preview);
    mesh ??= flatMesh(camera, MAX_OFF * Math.max(1, camera.width_px / PREVIEW_PX));
    const texel = typicalScale(mesh) * target.scale * (camera.width_px / preview.width); // of the screen
    const sharp = texel > TOO_COARSE ? whole() : null;
    if (sharp) return drawMesh(target, (fineMesh ??= flatMesh(camera, MAX_OFF)), sharp, camera);
    const level = Math.max(0, Math.min(levels.length - 1, Math.floor(-Math.log2(texel))));
    drawMesh(target, mesh, levels[level]!, camera);
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
      [mesh, fineMesh] = [null, null];
      source.changed();
    },
  };
}

/** The texture at full size, half, quarter and so on: small lights survive being drawn small. */
function halvings(texture: ImageBitmap): HTMLCanvasElement[] {
  const levels: HTMLCanvasElement[] = [];
  let [width, height] = [texture.width, texture.height];
  let from: CanvasImageSource = texture;
  do {
    const canvas = element("canvas", { width, height });
    canvas.getContext("2d")!.drawImage(from, 0, 0, width, height);
    levels.push(canvas);
    from = canvas;
    [width, height] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  } while (levels.length < 4 && Math.min(width, height) > 64);
  return levels;
}
