// The switch that shows night photos and the map brighter than they are stored.

import type { Adjuster } from "./adjust";
import { toggle } from "./bar";
import { MAP_STRETCH, photoStretch, PLAIN, type Stretch } from "./tone";

const SAMPLE_PX = 256; // of the photo's width: enough to know its tones

export interface Brighten {
  /** One for each view's bar; they go together. */
  buttons: [HTMLElement, HTMLElement];
  setPhoto(preview: ImageBitmap | null): void;
}

export function createBrighten(adjuster: Adjuster): Brighten {
  let on = true;
  let photo: Stretch = PLAIN;
  const apply = () => {
    adjuster.setStretch("photo", on ? photo : PLAIN);
    adjuster.setStretch("map", on ? MAP_STRETCH : PLAIN);
  };
  const change = (next: boolean) => {
    on = next;
    for (const each of toggles) each.press(on);
    apply();
  };
  const make = () => toggle("Brighten", "Show lights brighter than they are stored", on, change);
  const toggles = [make(), make()] as const;
  apply();
  return {
    buttons: [toggles[0].element, toggles[1].element],
    setPhoto(preview) {
      photo = preview ? photoStretch(sample(preview)) : PLAIN;
      apply();
    },
  };
}

function sample(preview: ImageBitmap): Uint8ClampedArray {
  const canvas = document.createElement("canvas");
  canvas.width = Math.min(SAMPLE_PX, preview.width);
  canvas.height = Math.max(1, Math.round((preview.height * canvas.width) / preview.width));
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.imageSmoothingEnabled = false; // averages would hide the brightest lights
  context.drawImage(preview, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height).data;
}
