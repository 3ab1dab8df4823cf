// The cross that shows in one view where the pointer is in the other.

import type { Coordinate } from "ol/coordinate";
import Overlay from "ol/Overlay";

export interface CrossHair {
  overlay: Overlay;
  show(at: Coordinate | null): void;
}

export function createCrossHair(): CrossHair {
  const element = document.createElement("div");
  element.className = "view-cross";
  element.setAttribute("aria-hidden", "true");
  const overlay = new Overlay({ element, positioning: "center-center", stopEvent: false });
  return { overlay, show: (at) => overlay.setPosition(at ?? undefined) };
}
