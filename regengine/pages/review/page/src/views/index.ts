// The photo, the map, and the photo over the map: made here, and kept in step with each other.

import "ol/ol.css";
import "./views.css";
import type { Coordinate } from "ol/coordinate";
import { toRadians } from "ol/math";
import { lonLatToPixel, pixelToLonLat } from "../geometry/camera";
import { atHorizon, azimuthOf } from "../geometry/horizon";
import type { Adjust, Awaited, Camera, Frame, LayerName, LayerState, Layout, LonLat, Point, PointResidual, Session, Side, Tool, ViewEvents, Work } from "../types";
import { bar, button, toggle } from "../work/dom";
import { link } from "../work/link";
import { sentenceOf } from "../work/notices";
import { createBrightness } from "./brightness";
import { createDrawnMap } from "./drawn_map";
import { APART_PX, keepInStep, mapTurn } from "./follow";
import { createGhost, type Ghost } from "./ghost";
import { createMapMarks } from "./map_marks";
import { createMapView } from "./map_view";
import { createPhotoView } from "./photo_view";
import { createLookTool, createPlaceTool } from "./place_tool";
import { type Pixel, pixelToPlane, toMercator } from "./planes";
import { createPointTool } from "./point_tool";
import { previews } from "./previews";
import { createSplit } from "./split";

const ZOOMED_PX = 3; // of the screen to one of the photo

export type Views = ReturnType<typeof createViews>;

export function createViews(photoElement: HTMLElement, mapElement: HTMLElement, session: Session, events: ViewEvents) {
  const work: Work = { camera: null, points: [], selected: null, awaited: null, tool: "select" };
  let layout: Layout = "side";
  let hidden = false; // flicker
  let acting = false; // a hand does something in a view
  let pointed: { side: Side; at: Coordinate | null } = { side: "photo", at: null };
  let lacking: Frame | null = null; // its picture could not be fetched
  let shown = 0; // counts frames, so that a late one does not show over a newer
  /** Nothing is brought into sight meanwhile: a view must not move under the hand. */
  const byHand = <Told extends unknown[]>(act: (...told: Told) => void) => (...told: Told): void => {
    acting = true;
    act(...told);
    acting = false;
  };
  const ofHand: ViewEvents = {
    ...events,
    moved: byHand(events.moved),
    added: byHand(events.added),
    selected: byHand(events.selected),
    confirmed: byHand(events.confirmed),
  };
  const photo = createPhotoView(photoElement, work, ofHand);
  const map = createMapView(mapElement, work, ofHand, session);
  const stages = { photo: photo.stage, map: map.stage };
  for (const { map: view, host, side } of Object.values(stages)) {
    view.on("pointermove", (event) => pointer(side, event.coordinate));
    host.addEventListener("pointerleave", () => pointer(side, null));
  }

  const drawn = createDrawnMap(photo.stage);
  const marks = createMapMarks(photo.stage);
  const ghost = createGhost([photo.stage, map.stage]);
  let compared: Frame | null = null; // the one in view, where it can be compared with its map
  const inStep = toggle("In step", "Move photo and map together, at the same scale", true, turn);
  const north = toggle("North up", "Turn photo and map so that north is up; otherwise the photo is upright", false, turn);
  const takeMapAlong = keepInStep(
    photo,
    map,
    () => (inStep.pressed() && layout === "side" ? work.camera : null),
    // Where the second half of a pair is looked for, the first one stays in sight
    () => work.tool === "select",
  );
  const letGoOfPoints = [createPointTool(photo.stage, photo.drawLoupe), createPointTool(map.stage)];
  const place = createPlaceTool(map.stage);
  const letGoOfMap = createLookTool(photo.stage);
  const brightness = createBrightness([photoElement, mapElement]);
  const drawIn = toggle("Map in the photo", "Draw the map into the photo, with coast, borders and towns", false, showOverlays);
  const met = toggle("Matches", "Where the map stands out, as rings on the photo, filled where the photo matches it (L)", false, () => marks.show(met.pressed()));
  met.buttons[0]!.hidden = Object.keys(session.maps).length === 0;
  const { difference, brighten } = brightness;
  const actual = button("1:1", oneToOne, { title: "One photo pixel per screen pixel (9)" });
  bar(photoElement, "Photo view", difference[0]!, actual, ...north.buttons, ...inStep.buttons);
  bar(mapElement, "Map view", difference[1]!);
  const split = createSplit(photoElement, () => {
    for (const stage of Object.values(stages)) stage.map.updateSize();
  });

  function pointer(side: Side, at: Coordinate | null): void {
    pointed = { side, at };
    const { camera } = work;
    const here = at && stages[side].position(at);
    const pixel = side === "photo" ? here : here && camera && lonLatToPixel(camera, ...here);
    const place = side === "map" ? here : here && camera && pixelToLonLat(camera, ...here);
    if (side === "photo") map.stage.showCross(place && toMercator(place));
    else photo.stage.showCross(pixel && pixelToPlane(pixel));
    events.cursor(pixel as Pixel | null, place as LonLat | null);
  }

  function oneToOne(): void {
    photo.stage.view.setResolution(1 / window.devicePixelRatio);
    takeMapAlong();
  }

  /** Photo and map have the same way up, or each its own north. */
  function turn(): void {
    const { camera } = work;
    photo.turnNorth(north.pressed() ? camera : null);
    map.turn(camera && inStep.pressed() ? mapTurn(camera, photo.stage.view.getRotation()) : 0);
    if (!photo.fit.untouched()) takeMapAlong();
  }

  /** The other view shows where the other half of a pair is guessed, as widely as that is unsure. */
  function seek(side: Side, point: Point): void {
    const { camera, points } = work;
    const at = photo.stage.coordinateOf(point);
    if (side === "photo") return photo.stage.reveal(at);
    const held = points.filter(({ origin }) => origin === "person" || origin === "snap");
    const turn = camera && inStep.pressed() && held.length > 1;
    map.seek([point.lon, point.lat], held.map((each) => [each.lon, each.lat]), {
      ends: camera ? photo.stage.ends(APART_PX, at).map((pixel) => pixelToLonLat(camera, ...pixel)) : [],
      apart_px: APART_PX,
      turn: turn ? mapTurn(camera, photo.stage.view.getRotation()) : null,
    });
  }

  function showOverlays(): void {
    const over = layout === "over" || work.tool === "place";
    const through = layout === "through" || drawIn.pressed() || work.tool === "place";
    // Beside each other, a held key swaps the two
    map.setPhoto(over ? !hidden : hidden && layout === "side");
    drawn.show(through, hidden);
    brightness.setOver(through && layout !== "over", over && layout !== "through");
  }

  function setCamera(next: Camera | null): void {
    const first = !work.camera && next !== null;
    work.camera = next;
    if (first) turn();
    map.setCamera(next);
    drawn.setCamera(next);
    marks.setCamera(compared, next);
    ghost.setCamera(next);
    place.refresh();
    pointer(pointed.side, pointed.at);
  }

  /** Another frame; resolves when its first picture is drawn. */
  async function show(frame: Frame, camera: Camera | null): Promise<void> {
    const turnOf = ++shown;
    delete photoElement.dataset.drawn;
    for (const letGo of letGoOfPoints) letGo();
    letGoOfMap();
    // Until the picture has come, no other one stands in its place
    for (const element of [photoElement, mapElement]) element.classList.add("waiting");
    work.camera = camera;
    let why = "The photo's file was not found.";
    const failed = (error: unknown) => {
      why = sentenceOf(error);
      link.lost();
      return null;
    };
    const picture = frame.photo ? await previews.get(frame.id).catch(failed) : null;
    if (turnOf !== shown) return;
    lacking = picture === null && frame.photo ? frame : null;
    const kind = session.maps[frame.reference] ? frame.reference : null;
    compared = kind !== null && picture !== null ? frame : null;
    photoElement.dataset.kind = frame.reference;
    photoElement.dataset.why = why; // shown where there is no picture
    pointed.at = null;
    photoElement.classList.remove("waiting");
    brightness.setPhoto(picture);
    const { width_px, height_px, orientation } = frame;
    const [wide, high] = orientation > 4 ? [height_px, width_px] : [width_px, height_px];
    split.setShape(wide && high ? wide / high : 1.5); // a usual one where nobody knows
    const shownNow = photo.show(frame, picture);
    if (width_px && height_px) drawn.setPhoto(width_px, height_px, kind);
    drawn.setCamera(work.camera);
    marks.setCamera(compared, work.camera);
    turn();
    photo.fit.now();
    if (layout !== "over") await shownNow;
    if (turnOf !== shown) return;
    photoElement.dataset.drawn = String(frame.id);
    map.show(frame, picture);
    mapElement.classList.remove("waiting");
    map.setCamera(work.camera); // not `camera`: it may have been edited meanwhile
    place.refresh();
    map.fit.now();
  }

  return {
    show,
    setCamera,
    setPoints(points: Point[], residuals: (PointResidual | null)[], selected: number | null, awaited: Awaited | null): void {
      const chosen = selected !== work.selected && selected !== null && !acting ? points[selected] : undefined;
      const asked = awaited?.index != null && awaited.index !== work.awaited?.index ? points[awaited.index] : undefined;
      Object.assign(work, { points, selected, awaited });
      for (const stage of Object.values(stages)) stage.setResiduals(residuals);
      if (awaited && asked) seek(awaited.side, asked);
      if (chosen) for (const stage of Object.values(stages)) stage.reveal(stage.coordinateOf(chosen));
    },
    setLayout(next: Layout): void {
      layout = next;
      photoElement.hidden = next === "over";
      mapElement.hidden = next === "through";
      photoElement.parentElement!.dataset.layout = next;
      // What is asked for next may go to a place of a map that was hidden until now
      for (const stage of Object.values(stages)) stage.map.updateSize();
      showOverlays();
    },
    setTool(tool: Tool): void {
      work.tool = tool;
      for (const element of [photoElement, mapElement]) element.dataset.tool = tool;
      place.refresh();
      if (tool !== "place") letGoOfMap();
      showOverlays();
    },
    setAdjust: (side: Side, adjust: Adjust) => brightness.set(side, adjust),
    setLayer(name: LayerName, state: LayerState): void {
      map.setLayer(name, state);
      drawn.setLayer(name, state);
    },
    /** What is chosen for both views, for the panel of layers. */
    controls: [map.base.chooser, ...brighten, ...drawIn.buttons, ...met.buttons],
    /** A second opinion over what is worked on; null for none. */
    setGhost: (next: Ghost | null) => ghost.set(next),
    toggleMarks: () => met.buttons[0]!.click(),
    /** While on, the photo over the map is hidden (or, beside each other, swapped for the map). */
    flicker(on: boolean): void {
      hidden = on;
      showOverlays();
    },
    goTo(at: LonLat, km: number): void {
      map.goTo(at, km);
      map.stage.showCross(toMercator(at));
      const pixel = work.camera && lonLatToPixel(work.camera, ...at);
      photo.stage.showCross(pixel && pixelToPlane(pixel));
    },
    /** The camera turned to the horizon, ahead along the track, as a start for a photo of the limb. */
    atHorizon: (from: Camera, frame: Frame) => atHorizon(from, ahead(from, frame), photo.up()),
    fit(): void {
      photo.fit.now();
      map.fit.now();
    },
    oneToOne,
    retry(): void {
      photo.retry();
      map.retry();
      if (lacking) void show(lacking, work.camera);
    },
    /** Move a point by a step of the keyboard, in screen pixels of the side that has the focus. */
    nudge(index: number, side: Side, dx: number, dy: number): void {
      const point = work.points[index];
      const stage = stages[side];
      if (point) events.moved(index, side, stage.position(stage.shifted(stage.coordinateOf(point), dx, dy)), true);
    },
    /** Both views about a point, three pixels of the screen to one of the photo. */
    zoomTo(index: number): void {
      const point = work.points[index];
      if (!point) return;
      const at = photo.stage.coordinateOf(point);
      photo.stage.view.setCenter(at);
      photo.stage.view.setResolution(1 / ZOOMED_PX);
      const place = map.stage.coordinateOf(point);
      const { camera } = work;
      if (camera === null || (inStep.pressed() && layout === "side")) return;
      const [a, b] = photo.stage.ends(1, at).map((pixel) => pixelToLonLat(camera, ...pixel));
      if (a && b) map.follow(a, b, 1);
      map.stage.view.setCenter(map.stage.near(place, map.stage.view.getCenter() ?? place));
    },
    prefetch(frame: Frame): void {
      if (frame.photo) previews.get(frame.id).catch(() => null);
    },
  };
}

const LEVEL_RAD = toRadians(30);

/** Where to look for the limb, azimuth: where the camera looks to already, else along the track. */
function ahead(camera: Camera, { track }: Frame): number {
  const { azimuthRad, offNadirRad } = azimuthOf(camera);
  const [from, to] = [track[(track.length >> 1) - 1], track[track.length >> 1]];
  if (offNadirRad > LEVEL_RAD || !from || !to) return azimuthRad;
  const east = toRadians(to[0] - from[0]) * Math.cos(toRadians(from[1]));
  return Math.atan2(east, toRadians(to[1] - from[1]));
}
