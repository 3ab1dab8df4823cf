// What the views (photo, map, photo over map) take from the rest of the page, and what they tell it.

import type { Camera, LonLat, Point } from "./types";

export type Side = "photo" | "map";
/** side: photo and map beside each other; over: the photo warped over the map; through: the map
 *  drawn through the camera into the photo. */
export type Layout = "side" | "over" | "through";
/** select: drag points, pan; add: a click makes a point; place: drag, turn, zoom the photo over the
 *  map, or the map in the photo. */
export type Tool = "select" | "add" | "place";

export interface Adjust {
  opacity: number;
  /** 1 is neutral for all three. */
  brightness: number;
  contrast: number;
  gamma: number;
}

/** What is drawn over photo and map, and can be left out. */
export const LAYERS = ["coast", "names", "track", "outline"] as const;
export type LayerName = (typeof LAYERS)[number];

export interface LayerState {
  on: boolean;
  /** 0 to 1. */
  opacity: number;
}

/** What a person does in a view. `at` is [x, y] pixels in the photo, [lon, lat] on the map. */
export interface ViewEvents {
  moved(index: number, side: Side, at: [number, number], done: boolean): void;
  added(side: Side, at: [number, number]): void;
  selected(index: number | null): void;
  /** The mark beside a guess was clicked: the camera's guess is right. */
  confirmed(): void;
  /** The photo was moved over the map by hand (tool "place"). */
  placed(camera: Camera, done: boolean): void;
  cursor(pixel: [number, number] | null, place: LonLat | null): void;
}

/** What is worked on, in both views. */
export interface Work {
  camera: Camera | null;
  points: Point[];
  selected: number | null;
  awaited: Awaited | null;
  tool: Tool;
}

/** Where the tool "add" waits for a click: on this side, of the point that the camera guessed there. */
export interface Awaited {
  side: Side;
  /** null: there is no guess, only the first half of a pair. */
  index: number | null;
}
