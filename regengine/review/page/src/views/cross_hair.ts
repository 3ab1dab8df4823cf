// The cross that shows in one view where the pointer is in the other.

import type { Coordinate } from "ol/coordinate";
import Overlay from "ol/Overlay";
import { element } from "../work/dom";

export interface CrossHair {
  overlay: Overlay;
  show(at: Coordinate | null): void;
}

export function createCrossHair(): CrossHair {
  const cross = element("div", { className: "view-cross", attributes: { "aria-hidden": "true" } });
  const overlay = new Overlay({ element: cross, positioning: "center-center", stopEvent: false });
  return { overlay, show: (at) => overlay.setPosition(at ?? undefined) };
}
