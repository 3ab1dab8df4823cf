// A view that was fitted and not moved since stays fitted when its room changes.

import type OlMap from "ol/Map";
import type View from "ol/View";

export function fitting(map: OlMap, fit: (view: View) => void) {
  let fitted = "";
  const where = () => [...(map.getView().getCenter() ?? []), map.getView().getResolution()].join(" ");
  /** Whether nobody has moved the view since it was fitted last. */
  const untouched = () => where() === fitted;
  const now = () => {
    map.updateSize();
    fit(map.getView());
    fitted = where();
  };
  map.on("change:size", () => {
    if (untouched()) now();
  });
  return { now, untouched };
}
