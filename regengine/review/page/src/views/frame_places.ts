// Which part of the map a frame is about.

import type { Coordinate } from "ol/coordinate";
import type { Camera, Frame } from "../types";
import { toMercator, unwrappedLine, WORLD_M } from "./mercator";
import { groundMesh, wholePhoto } from "./mesh";

/** Places around what a frame is about: the ground that the photo shows; else what could be in
 *  sight; else the Earth. */
export function framePlaces(frame: Frame | null, camera: Camera | null): Coordinate[] {
  const ground = camera ? groundMesh(camera, wholePhoto(camera), 12, 8).flat().map(({ at }) => at) : [];
  if (ground.length > 1) return ground;
  if (frame && frame.horizon.length > 2) return unwrappedLine(frame.horizon);
  if (frame?.nadir) {
    const [x, y] = toMercator([frame.nadir.lon, frame.nadir.lat]) as [number, number];
    const reach = 2_000_000; // about the horizon from 400 km
    return [[x - reach, y - reach], [x + reach, y + reach]];
  }
  return [[-WORLD_M / 2, -WORLD_M / 4], [WORLD_M / 2, WORLD_M / 3]];
}
