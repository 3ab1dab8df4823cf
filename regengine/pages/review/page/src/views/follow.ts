// Photo and map go in step: as a person pans, zooms or turns one of them, the other shows the same
// place at the same scale.

import { insidePhoto, lonLatToPixel, pixelToLonLat } from "../geometry/camera";
import type { Camera } from "../types";
import { northTurn } from "./ground";
import type { MapView } from "./map_view";
import type { PhotoView } from "./photo_view";
import { pixelToPlane } from "./planes";
import type { Stage } from "./stage";

export const APART_PX = 100; // on the screen, between the two pixels that give the scale

/** `camera` gives null while they are not in step; `leads`: whether the map takes the photo along.
 *  Gives what takes the map to where the photo is. */
export function keepInStep(
  photo: PhotoView,
  map: MapView,
  camera: () => Camera | null,
  leads: () => boolean,
): () => void {
  let [ofPhoto, ofMap] = ["", ""];
  const remember = () => {
    [ofPhoto, ofMap] = [stateOf(photo.stage), stateOf(map.stage)];
  };
  const toMap = () => {
    const seen = camera();
    const ends = seen && photo.stage.ends(APART_PX).map((pixel) => pixelToLonLat(seen, ...pixel));
    if (seen && ends?.[0] && ends[1]) {
      map.follow(ends[0], ends[1], APART_PX);
      map.turn(mapTurn(seen, photo.stage.view.getRotation()));
    }
    remember();
  };
  const toPhoto = () => {
    const seen = leads() ? camera() : null;
    const ends = seen && map.stage.ends(APART_PX).map((place) => lonLatToPixel(seen, ...place));
    if (seen && ends?.[0] && ends[1]) {
      // Where the map leaves what the photo shows, the photo stays at its edge, as it is zoomed
      const inside = ends.every((pixel) => insidePhoto(seen, pixel!));
      photo.stage.centreBetween(pixelToPlane(ends[0]), pixelToPlane(ends[1]), inside ? APART_PX : null);
    }
    remember();
  };
  for (const [view, other] of [[photo, toMap], [map, toPhoto]] as const) {
    const follow = () => {
      if (stateOf(view.stage) !== (view === photo ? ofPhoto : ofMap)) other();
    };
    // What a view does by itself, as when it is fitted, is no reason for the other one to move
    view.stage.map.on("postrender", () => {
      const now = view.stage.view;
      if (now.getInteracting() || now.getAnimating()) follow();
    });
    view.stage.map.on("moveend", () => {
      if (view.fit.untouched()) remember();
      else follow();
    });
  }
  return toMap;
}

/** How the map is turned beside a photo whose view is turned so: the same way is up in both. */
export function mapTurn(camera: Camera, photoTurn: number): number {
  const north = northTurn(camera);
  return north === null ? 0 : photoTurn - north;
}

function stateOf({ view }: Stage): string {
  const numbers = [...(view.getCenter() ?? []), view.getResolution() ?? 0, view.getRotation()];
  return numbers.map((each) => each.toPrecision(9)).join(" ");
}
