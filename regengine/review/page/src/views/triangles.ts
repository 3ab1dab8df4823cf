// Textured triangles on a 2-D canvas: each is an affine picture of its part of the texture.

import type { Coordinate } from "ol/coordinate";

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
