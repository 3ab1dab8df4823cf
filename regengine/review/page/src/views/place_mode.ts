// The tool "place" on the map: its pointer, its keys, its handles.

import type { Camera } from "../types";
import { createPlaceHandles } from "./place_handles";
import { placedByKey, PlaceTool } from "./place_tool";
import type { Stage } from "./stage";

export interface PlaceMode {
  use(on: boolean): void;
  cameraChanged(): void;
}

export function createPlaceMode(
  stage: Stage,
  host: HTMLElement,
  hooks: { camera(): Camera | null; onPlaced(camera: Camera, done: boolean): void },
): PlaceMode {
  let on = false;
  const camera = () => (on ? hooks.camera() : null);
  const handles = createPlaceHandles();
  stage.map.addLayer(handles.layer);
  const tool = new PlaceTool({ camera, onPlaced: hooks.onPlaced });
  stage.map.addInteraction(tool);
  host.addEventListener("keydown", (event) => {
    const now = camera();
    if (!now || event.target !== host || event.ctrlKey || event.altKey || event.metaKey) return;
    const next = placedByKey(now, event.key, event.shiftKey, stage.shifted);
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    hooks.onPlaced(next, true);
  });
  const refresh = () => handles.set(camera());
  return {
    use(next) {
      on = next;
      if (!on) tool.letGo(); // what was begun would go on in another frame
      refresh();
    },
    cameraChanged: refresh,
  };
}
