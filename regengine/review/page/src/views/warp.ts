// Triangles of a photo drawn where they lie on the map.

import type { Coordinate } from "ol/coordinate";
import type { Extent } from "ol/extent";
import { WORLD_M } from "./mercator";
import type { MeshTriangle, Part } from "./mesh";
import { fillTriangle, type Triangle } from "./triangles";

/** Where it is drawn: a canvas that shows an extent at so many of its pixels for a metre. */
export interface Target {
  context: CanvasRenderingContext2D;
  extent: Extent;
  scale: number;
}

type Texture = HTMLCanvasElement | ImageBitmap;

/** `shows`: the part of the photo that the whole texture shows. */
export function drawMesh(target: Target, mesh: MeshTriangle[], texture: Texture, shows: Part): void {
  const { context, extent, scale } = target;
  const pattern = context.createPattern(texture, "no-repeat")!;
  const [left, top, right, bottom] = shows;
  const [across, down] = [texture.width / (right - left), texture.height / (bottom - top)];
  for (const world of worldsInSight(mesh, extent)) {
    for (const triangle of mesh) {
      const to = triangle.map(({ at }) => [
        (at[0]! + world - extent[0]!) * scale,
        (extent[3]! - at[1]!) * scale,
      ]) as Triangle;
      if (!touches(to, context.canvas)) continue;
      const from = triangle.map(({ pixel }) => [
        (pixel[0] - left) * across,
        (pixel[1] - top) * down,
      ]) as Triangle;
      fillTriangle(context, pattern, from, to);
    }
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
