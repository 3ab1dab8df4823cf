// How the photo was taken, where neither its file nor the run tells: fields for what is missing.

import type { Frame, Given } from "../types";
import { api } from "./api";
import { element, field, refill } from "./dom";
import { USUAL_ALTITUDE_KM } from "./draft";
import type { Editor } from "./editor";
import { sentenceOf } from "./notices";
import { coordinatesIn, lonLat } from "./text";

const FULL_FRAME_MM = 36;
/** As the server takes them. */
const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?(Z|UTC|[+-]\d\d:?\d\d))?$/i;
const NORTHERNMOST_DEG = 52;

/** Fields for the time, the nadir and the lens of a frame, those that it lacks. `orbits`: whether a time
 *  tells the nadir; `changed`: a camera stands elsewhere, or sees with another lens. */
export function showGiven(host: HTMLElement, frame: Frame, editor: Editor, orbits: boolean, changed: () => void): void {
  const given = editor.draft.given ?? null;
  const long_px = Math.max(frame.width_px ?? 0, frame.height_px ?? 0);
  const outcome = element("p", { className: "outcome", attributes: { role: "status" } });
  const give = (change: Partial<Given>): void => {
    editor.give(change);
    changed();
  };
  const tell = (sentence: string): void => {
    outcome.textContent = sentence;
  };

  async function timeTold(text: string): Promise<void> {
    const time_utc = text.trim() === "" ? null : text.trim();
    if (time_utc !== null && !TIME.test(time_utc)) return tell("Write the time as 2012-03-28 15:46:41, UTC.");
    tell("");
    if (time_utc === null || !orbits || frame.nadir !== null) return give({ time_utc });
    try {
      const { lon, lat, altitude_km } = await api.nadir(time_utc);
      if (editor.frame?.id !== frame.id) return;
      give({ time_utc, nadir: { lon, lat, altitude_km } });
      tell(`The station was above ${lonLat([lon, lat])}.`);
    } catch (error) {
      if (editor.frame?.id === frame.id) tell(sentenceOf(error));
    }
  }

  function nadirTold(text: string): void {
    const place = coordinatesIn(text);
    if (text.trim() !== "" && place === null) return tell("Write latitude, longitude: 35.68, 139.77.");
    if (place && Math.abs(place[1]) > NORTHERNMOST_DEG) {
      return tell(`The Station never flies beyond ${NORTHERNMOST_DEG}° north or south.`);
    }
    tell("");
    give({ nadir: place && { lon: place[0], lat: place[1], altitude_km: USUAL_ALTITUDE_KM } });
  }

  function lensTold(): void {
    const [focal, wide] = [Number(lens.value), Number(sensor.value || FULL_FRAME_MM)];
    if (lens.value !== "" && !(focal > 0.2 * wide && focal <= 40 * wide)) {
      return tell("Write the focal length and the sensor width in millimetres: 50 and 36.");
    }
    tell("");
    give({ focal_px: lens.value === "" ? null : (focal / wide) * long_px });
  }

  const input = (id: string, value: string, more: object, onchange: (text: string) => void) => {
    const made = element("input", {
      id,
      type: "text",
      autocomplete: "off",
      maxLength: 40,
      disabled: editor.readonly,
      value,
      ...more,
      onchange: () => onchange(made.value),
    });
    return made;
  };
  const time = input("given-time", given?.time_utc ?? "", { placeholder: "2012-03-28 15:46:41" }, (text) => void timeTold(text));
  const place = given?.nadir ? `${given.nadir.lat.toFixed(4)}, ${given.nadir.lon.toFixed(4)}` : "";
  const nadir = input("given-nadir", place, { placeholder: "35.68, 139.77" }, nadirTold);
  const focal = given?.focal_px ? ((given.focal_px * FULL_FRAME_MM) / long_px).toPrecision(4) : "";
  const lens = input("given-lens", focal, { inputMode: "decimal", placeholder: "50" }, lensTold);
  const sensor = input("given-sensor", String(FULL_FRAME_MM), { inputMode: "decimal" }, lensTold);
  sensor.setAttribute("aria-label", "Sensor width (its long side), mm");

  const rows = [
    frame.time_utc === null && field("Time, UTC", time),
    frame.nadir === null && field("Nadir: latitude, longitude of the point directly below the station", nadir),
    (frame.focal_mm === null || frame.pixel_pitch_um === null) &&
      long_px > 0 &&
      field("Focal length and sensor width (mm)", lens, element("span", { className: "pair" }, lens, sensor)),
  ].filter((row) => row !== false);
  refill(host, rows.length > 0 && element("h3", {}, "Missing from the file"), ...rows, rows.length > 0 && outcome);
}
