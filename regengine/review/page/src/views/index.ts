// The photo, the map, and the photo over the map: made here, and kept in step with each other.

import "ol/ol.css";
import "./views.css";
import type { Coordinate } from "ol/coordinate";
import { lonLatToPixel, pixelToLonLat } from "../geometry/camera";
import type { Camera, Frame, LonLat, Point, PointResidual } from "../types";
import type { Awaited, Layout, Side, Tool, ViewEvents, Views } from "../view_types";
import { createAdjuster } from "./adjust";
import { bar, button, toggle } from "./bar";
import { createBrighten } from "./brighten";
import { createMapView } from "./map_view";
import { mapMarkers, photoMarkers } from "./markers";
import { toLonLat, toMercator } from "./mercator";
import { followPhoto } from "./follow";
import { createPhotoView } from "./photo_view";
import { createPlaceMode } from "./place_mode";
import { pixelToPlane, planeToPixel, type Pixel } from "./pixel_plane";
import { createPreviews } from "./previews";
import type { StageHooks } from "./stage";

export function createViews(
  photoElement: HTMLElement,
  mapElement: HTMLElement,
  events: ViewEvents,
): Views {
  let camera: Camera | null = null;
  let points: Point[] = [];
  let selected: number | null = null;
  let awaited: Awaited | null = null;
  let layout: Layout = "side";
  let tool: Tool = "select";
  let hidden = false; // flicker
  let held = false; // a point is under the pointer
  let pointed: { side: Side; at: Coordinate | null } = { side: "photo", at: null };
  let lacking: Frame | null = null; // its picture could not be fetched
  let shown = 0; // counts frames, so that a late one does not show over a newer
  const previews = createPreviews();
  const adjuster = createAdjuster(mapElement);
  const photo = createPhotoView(photoElement, hooks("photo"), adjuster, events.lost);
  const map = createMapView(mapElement, hooks("map"), adjuster, events.lost);

  const north = toggle("North up", "Turn the photo so that north is up", true, turn);
  const follow = toggle("Map follows", "The map shows what the photo's view shows", true, () => link());
  const link = followPhoto(photo, map, () => (follow.pressed() && layout === "side" ? camera : null));
  const place = createPlaceMode(map.stage, mapElement, {
    camera: () => camera,
    onPlaced: events.placed,
  });
  const brighten = createBrighten(adjuster);
  const fitButton = button("Fit", "Show the whole photo", photo.fit);
  bar(photoElement, "Photo view", fitButton, north.element, brighten.buttons[0], follow.element);
  const fitMap = button("Fit", "Show all that the photo shows", map.fit);
  bar(mapElement, "Map view", map.base.chooser, fitMap, brighten.buttons[1]);

  function hooks(side: Side): StageHooks {
    return {
      selected: () => selected,
      adding: () => tool === "add",
      awaited: () => tool === "add" && awaited?.side === side,
      panning: () => selected === null && tool !== "place",
      onSelect: (index) => byHand(() => events.selected(index)),
      onMove: (index, at, done) => byHand(() => events.moved(index, side, position(side, at), done)),
      onAdd: (at) => byHand(() => events.added(side, position(side, at))),
      onConfirm: () => byHand(events.confirmed),
      onPointer: (at) => pointer(side, at),
    };
  }

  /** Nothing is brought into sight meanwhile: a view must not move under the hand. */
  function byHand(act: () => void): void {
    held = true;
    act();
    held = false;
  }

  function pointer(side: Side, at: Coordinate | null): void {
    pointed = { side, at };
    const here = at && position(side, at);
    const pixel = side === "photo" ? here : here && camera && lonLatToPixel(camera, ...here);
    const place = side === "map" ? here : here && camera && pixelToLonLat(camera, ...here);
    if (side === "photo") map.stage.cross.show(place && toMercator(place));
    else photo.stage.cross.show(pixel && pixelToPlane(pixel));
    events.cursor(pixel as Pixel | null, place as LonLat | null);
  }

  function turn(): void {
    photo.turnNorth(north.pressed() ? camera : null);
  }

  function refreshPoints(residuals: PointResidual[] | null): void {
    const guess = (side: Side): number | null => (awaited?.side === side ? awaited.index : null);
    photo.stage.setMarkers(photoMarkers(points, residuals, selected, guess("photo")));
    map.stage.setMarkers(mapMarkers(points, residuals, selected, camera, guess("map")));
  }

  function showPhotoOverMap(): void {
    const over = layout === "over" || tool === "place";
    map.setPhoto(over !== hidden);
  }

  function fit(): void {
    photo.fit();
    map.fit();
  }

  const views: Views = {
    offer: map.base.offer,
    async show(frame: Frame, start: Camera | null) {
      const turnOf = ++shown;
      delete photoElement.dataset.drawn;
      for (const { letGo } of [photo.stage, map.stage]) letGo();
      // Until the picture has come, no other one stands in its place
      for (const element of [photoElement, mapElement]) element.classList.add("waiting");
      camera = start;
      let why = "The photo's file is not where it was.";
      const failed = (error: unknown) => {
        why = error instanceof Error ? error.message : String(error);
        events.lost();
        return null;
      };
      const picture = frame.photo ? await previews.get(frame.id).catch(failed) : null;
      if (turnOf !== shown) return;
      lacking = picture === null && frame.photo ? frame : null;
      photoElement.dataset.why = why; // shown where there is no picture
      pointed.at = null;
      photoElement.classList.remove("waiting");
      brighten.setPhoto(picture);
      const drawn = photo.show(frame, picture);
      turn();
      photo.fit();
      if (layout === "side") await drawn;
      if (turnOf !== shown) return;
      photoElement.dataset.drawn = String(frame.id);
      map.show(frame, picture);
      mapElement.classList.remove("waiting");
      map.setCamera(camera); // not `start`: it may have been edited meanwhile
      place.cameraChanged();
      map.fit();
    },
    setCamera(next) {
      camera = next;
      map.setCamera(next);
      place.cameraChanged();
      pointer(pointed.side, pointed.at);
    },
    setPoints(next, residuals, index, waited) {
      awaited = waited;
      const chosen = index !== selected && index !== null && !held ? next[index] : undefined;
      points = next;
      selected = index;
      refreshPoints(residuals);
      if (chosen) photo.stage.reveal(pixelToPlane([chosen.x, chosen.y]));
      if (chosen) map.stage.reveal(toMercator([chosen.lon, chosen.lat]));
    },
    setLayout(next) {
      layout = next;
      photoElement.hidden = next === "over";
      showPhotoOverMap();
    },
    setTool(next) {
      tool = next;
      for (const element of [photoElement, mapElement]) element.dataset.tool = next;
      place.use(next === "place");
      showPhotoOverMap();
    },
    setAdjust: (side, adjust) => adjuster.set(side, adjust),
    flicker(on) {
      hidden = on;
      showPhotoOverMap();
    },
    goTo: (place, km) => map.goTo(place, km),
    fit,
    retry() {
      photo.retry();
      map.retry();
      if (lacking) void views.show(lacking, camera);
    },
    nudge(index, side, dx, dy) {
      const point = points[index];
      if (!point) return;
      const at = side === "photo" ? pixelToPlane([point.x, point.y]) : toMercator([point.lon, point.lat]);
      const stage = side === "photo" ? photo.stage : map.stage;
      events.moved(index, side, position(side, stage.shifted(at, dx, dy)), true);
    },
    prefetch(frame) {
      if (!frame.photo) return;
      const picture = previews.get(frame.id).catch(() => null);
      const { camera: seenBy } = frame;
      if (seenBy) void picture.then(() => map.prefetch(seenBy));
    },
  };
  return views;
}

/** [x, y] of the photo or [lon, lat], as the events tell it. */
function position(side: Side, at: Coordinate): [number, number] {
  return side === "photo" ? planeToPixel(at) : toLonLat(at);
}
