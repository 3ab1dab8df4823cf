// Textured triangles on a 2-D canvas, each an affine picture of its part of the texture: a photo drawn
// where it lies on the map.

import type { Coordinate } from "ol/coordinate";
import type { Extent } from "ol/extent";
import type { ProjectionLike } from "ol/proj";
import ImageCanvas from "ol/source/ImageCanvas";
import { element } from "../work/dom";
import { WORLD_M } from "./mercator";
import type { MeshTriangle, Part, Vertex } from "./mesh";

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

/** `shows`: the part of the photo that the whole texture shows. */
export function drawMesh(target: Target, mesh: MeshTriangle[], texture: Texture, shows: Part): void {
  const { context, extent, scale } = target;
  const [left, top, right, bottom] = shows;
  const [across, down] = [texture.width / (right - left), texture.height / (bottom - top)];
  for (const world of worldsInSight(mesh, extent)) {
    drawTriangles(
      context,
      mesh,
      texture,
      ({ pixel }) => [(pixel[0] - left) * across, (pixel[1] - top) * down],
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
  const pattern = context.createPattern(texture, "no-repeat")!;
  for (const triangle of mesh) {
    const target = triangle.map(to) as Triangle;
    if (touches(target, context.canvas)) fillTriangle(context, pattern, triangle.map(from) as Triangle, target);
  }
}

/** Mercator metres of a pixel, in the middle of all triangles. */
export function typicalScale(mesh: MeshTriangle[]): number {
  const scales = mesh.map(([a, , c]) => {
    const pixels = Math.hypot(c.pixel[0] - a.pixel[0], c.pixel[1] - a.pixel[1]);
    return Math.hypot(c.at[0]! - a.at[0]!, c.at[1]! - a.at[1]!) / pixels;
  });
  return scales.sort((a, b) => a - b)[scales.length >> 1] ?? 1;
}

/** Offsets of the copies of the Earth in which the mesh meets the extent. */
export function worldsInSight(mesh: MeshTriangle[], extent: Extent): number[] {
  let [least, most] = [Infinity, -Infinity];
  for (const { at } of mesh.flat()) {
    least = Math.min(least, at[0]!);
    most = Math.max(most, at[0]!);
  }
  const worlds: number[] = [];
  const first = Math.ceil((extent[0]! - most) / WORLD_M);
  for (let world = first; least + world * WORLD_M <= extent[2]!; world++) worlds.push(world * WORLD_M);
  return worlds;
}

function touches(at: Coordinate[], canvas: { width: number; height: number }): boolean {
  const xs = at.map(([x]) => x!);
  const ys = at.map(([, y]) => y!);
  const across = Math.max(...xs) >= 0 && Math.min(...xs) <= canvas.width;
  return across && Math.max(...ys) >= 0 && Math.min(...ys) <= canvas.height;
}

export type Triangle = [Coordinate, Coordinate, Coordinate];
/** a, b, c, d, e, f of CanvasRenderingContext2D.setTransform. */
export type Affine = [number, number, number, number, number, number];

/** The affine map that takes one triangle into another; null where the first has no area. */
export function affineBetween(from: Triangle, to: Triangle): Affine | null {
  const [[x0, y0], [x1, y1], [x2, y2]] = from as [number[], number[], number[]];
  const [[X0, Y0], [X1, Y1], [X2, Y2]] = to as [number[], number[], number[]];
  const [ux, uy, vx, vy] = [x1! - x0!, y1! - y0!, x2! - x0!, y2! - y0!];
  const area = ux * vy - uy * vx;
  if (Math.abs(area) < 1e-12) return null;
  const [Ux, Uy, Vx, Vy] = [X1! - X0!, Y1! - Y0!, X2! - X0!, Y2! - Y0!];
  const a = (Ux * vy - Vx * uy) / area;
  const b = (Uy * vy - Vy * uy) / area;
  const c = (Vx * ux - Ux * vx) / area;
  const d = (Vy * ux - Uy * vx) / area;
  return [a, b, c, d, X0! - a * x0! - c * y0!, Y0! - b * x0! - d * y0!];
}

/** The triangle with each side moved outwards, so that no seam shows between neighbours. */
export function grown(triangle: Triangle, by: number): Triangle {
  const [a, b, c] = triangle;
  const area = (b[0]! - a[0]!) * (c[1]! - a[1]!) - (b[1]! - a[1]!) * (c[0]! - a[0]!);
  const around = area < 0 ? -1 : 1;
  return [grownCorner(c, a, b), grownCorner(a, b, c), grownCorner(b, c, a)];

  function grownCorner(before: Coordinate, at: Coordinate, after: Coordinate): Coordinate {
    const into = unit(before, at);
    const out = unit(at, after);
    // outwards normals of both sides at this corner; their mean, lengthened to keep the distance
    const normal = [around * (into[1] + out[1]), -around * (into[0] + out[0])];
    const bend = 1 + into[0] * out[0] + into[1] * out[1];
    const reach = by / Math.max(bend, 0.05); // slivers do not grow into spikes
    return [at[0]! + normal[0]! * reach, at[1]! + normal[1]! * reach];
  }
}

function unit(from: Coordinate, to: Coordinate): [number, number] {
  const [dx, dy] = [to[0]! - from[0]!, to[1]! - from[1]!];
  const length = Math.hypot(dx, dy) || 1;
  return [dx / length, dy / length];
}

/** Fill a triangle of the canvas with the texture: the path stays, the pattern moves with it. */
export function fillTriangle(
  context: CanvasRenderingContext2D,
  texture: CanvasPattern,
  source: Triangle,
  target: Triangle,
): void {
  const affine = affineBetween(source, target);
  if (!affine) return;
  const [a, b, c] = grown(target, 0.5);
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.beginPath();
  context.moveTo(a[0]!, a[1]!);
  context.lineTo(b[0]!, b[1]!);
  context.lineTo(c[0]!, c[1]!);
  context.closePath();
  context.setTransform(...affine);
  context.fillStyle = texture;
  context.fill();
}
