// The ground that a photo shows: what lies nearest to its middle, which way north is, where it is on the map,
// and the photo as triangles on it. Sky and limb are cut off.

import { type Coordinate, distance } from "ol/coordinate";
import { boundingExtent, type Extent, getWidth } from "ol/extent";
import { toDegrees } from "ol/math";
import { lonLatToPixel, middle, pixelToGround, pixelToLonLat } from "../geometry/camera";
import type { Camera, Frame, LonLat } from "../types";
import { lonNear, MAX_LAT, type Pixel, pixelToPlane, toMercator, unwrappedLine, WORLD_M } from "./planes";

const STEPS = [-0.4, -0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3, 0.4];

/** The pixel on the ground that lies nearest to the middle of a photo; null where (nearly) all that the photo shows is sky. */
export function groundMiddle(camera: Camera): { pixel: Pixel; place: LonLat } | null {
  const [x, y] = middle(camera);
  const tries = STEPS.flatMap((sx) =>
    STEPS.map((sy): Pixel => [sx * camera.width_px, sy * camera.height_px]),
  );
  tries.sort((a, b) => Math.hypot(...a) - Math.hypot(...b));
  for (const [dx, dy] of tries) {
    const ground = pixelToGround(camera, x + dx, y + dy);
    if (ground && ground.incidence_deg < STEEPEST_DEG) return { pixel: [x + dx, y + dy], place: ground.place };
  }
  return null;
}

const STEP_DEG = 0.02;

/** Turn (radians, clockwise) of the photo's view that brings north up at a pixel, by itself on the ground
 *  nearest to the middle; null on sky. */
export function northTurn(camera: Camera, pixel = groundMiddle(camera)?.pixel): number | null {
  const place = pixel && pixelToLonLat(camera, ...pixel);
  if (!place) return null;
  const [lon, lat] = place;
  const southward = lat + STEP_DEG > 90;
  const ahead = lonLatToPixel(camera, lon, southward ? lat - STEP_DEG : lat + STEP_DEG);
  if (!ahead) return null;
  const [from, to] = [pixelToPlane(pixel), pixelToPlane(ahead)];
  const [right, up] = [to[0]! - from[0]!, to[1]! - from[1]!];
  return -Math.atan2(southward ? -right : right, southward ? -up : up);
}

/** Places around what a frame is about: the ground that the photo shows; else what could be in
 *  sight; else the Earth. */
export function framePlaces(frame: Frame | null, camera: Camera | null): Coordinate[] {
  const ground = camera ? groundMesh(camera, 12, 8).flat().map(({ at }) => at) : [];
  if (ground.length > 1) return ground;
  if (frame && frame.horizon.length > 2) return unwrappedLine(frame.horizon);
  if (frame?.nadir) {
    const [x, y] = toMercator([frame.nadir.lon, frame.nadir.lat]) as [number, number];
    const reach = 2_000_000; // about the horizon from 400 km
    return [[x - reach, y - reach], [x + reach, y + reach]];
  }
  return [[-WORLD_M / 2, -WORLD_M / 4], [WORLD_M / 2, WORLD_M / 3]];
}

/** A pixel and where it lies on the map, Mercator. */
export interface Vertex {
  pixel: Pixel;
  at: Coordinate;
}

export type MeshTriangle = [Vertex, Vertex, Vertex];

export const STEEPEST_DEG = 85; // beyond it, at the limb, a pixel smears over tens of kilometres
const WIDEST = toMercator([60, 0])[0]!; // of a triangle, unless it lies over a pole
const HALVINGS = 10; // to the edge of what is drawn: a thousandth of a cell

/** The ground under a grid of the photo's pixels; triangles that reach into the sky are cut at the limb. */
export function groundMesh(camera: Camera, columns: number, rows: number): MeshTriangle[] {
  const ground = groundOf(camera);
  const corners = grid(camera, columns, rows).map((pixel) => ({ pixel, vertex: ground(pixel) }));
  const cuts = new Map<string, Vertex | null>();
  const cut = (inside: number, outside: number): Vertex | null => {
    const key = `${inside} ${outside}`;
    if (!cuts.has(key)) cuts.set(key, edgeOfGround(ground, corners[inside]!.pixel, corners[outside]!.pixel));
    return cuts.get(key)!;
  };
  const triangles: MeshTriangle[] = [];
  const add = (numbers: [number, number, number]) => {
    const outline: (Vertex | null)[] = numbers.flatMap((from, side) => {
      const to = numbers[(side + 1) % 3]!;
      const [a, b] = [corners[from]!.vertex, corners[to]!.vertex];
      if (a && b) return [a];
      if (a) return [a, cut(from, to)];
      return b ? [cut(to, from)] : [];
    });
    const kept = outline.filter((vertex) => vertex !== null);
    for (let last = 2; last < kept.length; last++) {
      const triangle: MeshTriangle = [kept[0]!, kept[last - 1]!, kept[last]!];
      if (getWidth(extentOf([triangle])) < WIDEST) triangles.push(triangle);
    }
  };
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const a = row * (columns + 1) + column;
      const [b, c, d] = [a + 1, a + columns + 2, a + columns + 1];
      add([a, b, c]);
      add([a, c, d]);
    }
  }
  return triangles;
}

const SIZES = [[6, 4], [12, 8], [24, 16], [36, 24], [54, 36]] as const;

/** The coarsest mesh whose triangles are so flat that nothing lies more than so many pixels off. */
export function flatMesh(camera: Camera, most_off_px: number): MeshTriangle[] {
  const ground = groundOf(camera);
  let mesh = groundMesh(camera, ...SIZES[0]);
  for (const [columns, rows] of SIZES.slice(1)) {
    if (mesh.every((triangle) => bulge(ground, triangle) <= most_off_px)) break;
    mesh = groundMesh(camera, columns, rows);
  }
  return mesh;
}

export function groundOutline(camera: Camera): Coordinate[][] {
  return outline(groundMesh(camera, 24, 16));
}

/** Edges that one triangle alone has. */
export function outline(mesh: MeshTriangle[]): Coordinate[][] {
  const numbers = new Map<Vertex, number>();
  const number = (vertex: Vertex): number => {
    if (!numbers.has(vertex)) numbers.set(vertex, numbers.size);
    return numbers.get(vertex)!;
  };
  const edges = new Map<string, Coordinate[]>();
  for (const triangle of mesh) {
    triangle.forEach((from, side) => {
      const to = triangle[(side + 1) % 3]!;
      if (!edges.delete(`${number(to)} ${number(from)}`)) {
        edges.set(`${number(from)} ${number(to)}`, [from.at, to.at]);
      }
    });
  }
  return [...edges.values()];
}

type Ground = (pixel: Pixel) => Vertex | null;

function groundOf(camera: Camera): Ground {
  const [x, y] = camera.position_ecef_m;
  const below = toDegrees(Math.atan2(y, x)); // all ground in sight lies around it
  return (pixel) => {
    const seen = pixelToGround(camera, ...pixel);
    if (!seen || !(seen.incidence_deg < STEEPEST_DEG)) return null;
    const [lon, lat] = seen.place;
    return Math.abs(lat) > MAX_LAT ? null : { pixel, at: toMercator([lonNear(lon, below), lat]) };
  };
}

function grid({ width_px, height_px }: Camera, columns: number, rows: number): Pixel[] {
  const along = (pieces: number, size_px: number) => Array.from({ length: pieces + 1 }, (_, k) => (size_px * k) / pieces - 0.5);
  return along(rows, height_px).flatMap((y) => along(columns, width_px).map((x): Pixel => [x, y]));
}

function edgeOfGround(ground: Ground, inside: Pixel, outside: Pixel): Vertex | null {
  let [near, far] = [inside, outside];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = halfway(near, far);
    if (ground(middle)) near = middle;
    else far = middle;
  }
  return ground(near);
}

/** How far, in pixels, the middle of an inner edge lies from where it is drawn. */
function bulge(ground: Ground, [a, , c]: MeshTriangle): number {
  const seen = ground(halfway(a.pixel, c.pixel));
  if (!seen) return 0;
  const off = distance(seen.at, halfway(a.at as Pixel, c.at as Pixel));
  return (off / distance(a.at, c.at)) * distance(a.pixel, c.pixel);
}

function halfway(a: Pixel, b: Pixel): Pixel {
  return [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
}

export function extentOf(mesh: MeshTriangle[]): Extent {
  return boundingExtent(mesh.flat().map(({ at }) => at));
}
