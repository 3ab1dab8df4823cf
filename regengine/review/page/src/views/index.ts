// The photo, the map, and the photo over the map: made here, and kept in step with each other.

import "ol/ol.css";
import "./views.css";
import type { Coordinate } from "ol/coordinate";
import { lonLatToPixel, pixelToLonLat } from "../geometry/camera";
import { radians } from "../geometry/earth";
import { atHorizon, azimuthOf } from "../geometry/horizon";
import type { Camera, Frame, LonLat, Point, PointResidual } from "../types";
import { link } from "../work/link";
import type { Awaited, Layout, Side, Tool, ViewEvents, Views } from "../view_types";
import { createAdjuster } from "./adjust";
import { bar, toggle } from "./bar";
import { createBrighten } from "./brighten";
import { createCompare } from "./compare";
import { createDrawnMap } from "./drawn_map";
import { LookTool } from "./look_tool";
import { createMapView } from "./map_view";
import { mapMarkers, photoMarkers } from "./markers";
import { toLonLat, toMercator } from "./mercator";
import { keepInStep, mapTurn } from "./follow";
import { createPhotoView } from "./photo_view";
import { createPlaceMode } from "./place_mode";
import { pixelToPlane, planeToPixel, type Pixel } from "./pixel_plane";
import { createPreviews } from "./previews";
import { createSplit } from "./split";
import type { StageHooks } from "./stage";

const SCALE_PX = 100; // on the screen, between the two pixels that give the photo's scale

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
  const photo = createPhotoView(photoElement, hooks("photo"), adjuster);
  const map = createMapView(mapElement, hooks("map"), adjuster);

  const drawn = createDrawnMap(photo.stage);
  adjuster.follow("map", drawn.lights, true);
  const inStep = toggle("In step", "Photo and map show the same place, at the same scale", true, () => turn());
  const north = toggle("North up", "Turn photo and map so that north is up; else the photo is upright", false, turn);
  const takeMapAlong = keepInStep(
    photo,
    map,
    () => (inStep.pressed() && layout === "side" ? camera : null),
    // Where the second half of a pair is looked for, the first one stays in sight
    () => tool === "select",
  );
  const place = createPlaceMode(map.stage, mapElement, {
    camera: () => camera,
    onPlaced: events.placed,
  });
  const look = new LookTool({ camera: () => (tool === "place" ? camera : null), onPlaced: events.placed });
  photo.stage.map.addInteraction(look);
  const compare = createCompare([map.stage.map, photo.stage.map], adjuster);
  const brighten = createBrighten(adjuster);
  const drawIn = toggle("Map", "Draw the map into the photo: coast, borders, towns and lights", false, showOverlays);
  bar(photoElement, "Photo view", compare.buttons[1]!, north.element, drawIn.element, brighten.buttons[0], inStep.element);
  bar(mapElement, "Map view", map.base.chooser, compare.buttons[0]!, brighten.buttons[1]);
  const split = createSplit(photoElement, () => {
    for (const { stage } of [photo, map]) stage.map.updateSize();
  });

  function hooks(side: Side): StageHooks {
    return {
      selected: () => selected,
      adding: () => tool === "add",
      awaited: () => tool === "add" && awaited?.side === side,
      panning: () => selected === null && tool !== "place",
      onSelect: (index) => byHand(() => events.selected(index)),
      onMove: (index, at, done) => {
        byHand(() => events.moved(index, side, position(side, at), done));
        (side === "photo" ? photo : map).loupe.show(done ? null : at);
      },
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

  /** Photo and map have the same way up, or each its own north. */
  function turn(): void {
    photo.turnNorth(north.pressed() ? camera : null);
    const turned = photo.stage.map.getView().getRotation();
    map.turn(camera && inStep.pressed() ? mapTurn(camera, turned) : 0);
    if (!photo.untouched()) takeMapAlong();
  }

  /** The other view shows where the other half of a pair is guessed, as widely as that is unsure. */
  function seek(side: Side, { x, y, lon, lat }: Point): void {
    if (side === "photo") return photo.stage.reveal(pixelToPlane([x, y]));
    const held = points.filter(({ origin }) => origin === "person" || origin === "snap");
    const turn = camera && inStep.pressed() && held.length > 1;
    map.seek([lon, lat], held.map((each) => [each.lon, each.lat]), {
      ends: camera ? photo.ends(SCALE_PX, [x, y]).map((pixel) => pixelToLonLat(camera!, ...pixel)) : [],
      apart_px: SCALE_PX,
      turn: turn ? mapTurn(camera!, photo.stage.map.getView().getRotation()) : null,
    });
  }

  function refreshPoints(residuals: PointResidual[] | null): void {
    const guess = (side: Side): number | null => (awaited?.side === side ? awaited.index : null);
    photo.stage.setMarkers(photoMarkers(points, residuals, selected, guess("photo")));
    map.stage.setMarkers(mapMarkers(points, residuals, selected, camera, guess("map")));
  }

  function showOverlays(): void {
    const over = layout === "over" || tool === "place";
    const through = layout === "through" || drawIn.pressed() || tool === "place";
    // Beside each other, a held key swaps the two
    map.setPhoto(over ? !hidden : hidden && layout === "side");
    drawn.show(through);
    drawn.hideLights(hidden);
    compare.use(0, over && layout !== "through");
    compare.use(1, through && layout !== "over");
  }

  function fit(): void {
    photo.fit();
    map.fit();
  }

  const views: Views = {
    offer(session) {
      map.base.offer(session);
      drawn.offer(session.lights);
    },
    async show(frame: Frame, start: Camera | null) {
      const turnOf = ++shown;
      delete photoElement.dataset.drawn;
      for (const { stage, loupe } of [photo, map]) {
        stage.letGo();
        loupe.show(null);
      }
      look.letGo();
      // Until the picture has come, no other one stands in its place
      for (const element of [photoElement, mapElement]) element.classList.add("waiting");
      camera = start;
      let why = "The photo's file is not where it was.";
      const failed = (error: unknown) => {
        why = error instanceof Error ? error.message : String(error);
        link.lost();
        return null;
      };
      const picture = frame.photo ? await previews.get(frame.id).catch(failed) : null;
      if (turnOf !== shown) return;
      lacking = picture === null && frame.photo ? frame : null;
      photoElement.dataset.why = why; // shown where there is no picture
      pointed.at = null;
      photoElement.classList.remove("waiting");
      brighten.setPhoto(picture);
      split.setShape(uprightShape(frame));
      const shownNow = photo.show(frame, picture);
      if (frame.width_px && frame.height_px) drawn.setPhoto(frame.width_px, frame.height_px);
      drawn.setCamera(camera);
      turn();
      photo.fit();
      if (layout !== "over") await shownNow;
      if (turnOf !== shown) return;
      photoElement.dataset.drawn = String(frame.id);
      map.show(frame, picture);
      mapElement.classList.remove("waiting");
      map.setCamera(camera); // not `start`: it may have been edited meanwhile
      place.cameraChanged();
      map.fit();
    },
    setCamera(next) {
      const first = !camera && next !== null;
      camera = next;
      if (first) turn();
      map.setCamera(next);
      drawn.setCamera(next);
      place.cameraChanged();
      pointer(pointed.side, pointed.at);
    },
    setPoints(next, residuals, index, waited) {
      const chosen = index !== selected && index !== null && !held ? next[index] : undefined;
      const asked = waited?.index != null && waited.index !== awaited?.index ? next[waited.index] : undefined;
      points = next;
      selected = index;
      awaited = waited;
      refreshPoints(residuals);
      if (waited && asked) seek(waited.side, asked);
      if (chosen) photo.stage.reveal(pixelToPlane([chosen.x, chosen.y]));
      if (chosen) map.stage.reveal(toMercator([chosen.lon, chosen.lat]));
    },
    setLayout(next) {
      layout = next;
      photoElement.hidden = next === "over";
      mapElement.hidden = next === "through";
      showOverlays();
    },
    setTool(next) {
      tool = next;
      for (const element of [photoElement, mapElement]) element.dataset.tool = next;
      place.use(next === "place");
      if (next !== "place") look.letGo();
      showOverlays();
    },
    setAdjust: (side, adjust) => adjuster.set(side, adjust),
    flicker(on) {
      hidden = on;
      showOverlays();
    },
    goTo(place, km) {
      map.goTo(place, km);
      map.stage.cross.show(toMercator(place));
      const pixel = camera && lonLatToPixel(camera, ...place);
      photo.stage.cross.show(pixel && pixelToPlane(pixel));
    },
    atHorizon: (from, frame) => atHorizon(from, ahead(from, frame), photo.up()),
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
      if (frame.photo) previews.get(frame.id).catch(() => null);
    },
  };
  return views;
}

/** [x, y] of the photo or [lon, lat], as the events tell it. */
function position(side: Side, at: Coordinate): [number, number] {
  return side === "photo" ? planeToPixel(at) : toLonLat(at);
}

const LEVEL_RAD = radians(30);

/** Where to look for the limb, azimuth: where the camera looks to already, else along the track. */
function ahead(camera: Camera, { track }: Frame): number {
  const { azimuthRad, offNadirRad } = azimuthOf(camera);
  const [from, to] = [track[(track.length >> 1) - 1], track[track.length >> 1]];
  if (offNadirRad > LEVEL_RAD || !from || !to) return azimuthRad;
  const east = radians(to[0] - from[0]) * Math.cos(radians(from[1]));
  return Math.atan2(east, radians(to[1] - from[1]));
}

/** Width of the photo as it was held, for a height of one; of a usual one where nobody knows. */
function uprightShape({ width_px, height_px, orientation }: Frame): number {
  if (!width_px || !height_px) return 1.5;
  return orientation > 4 ? height_px / width_px : width_px / height_px;
}
