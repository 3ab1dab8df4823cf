// A second opinion, drawn over what is worked on: its points as dashed rings, with lines to where the
// camera in view has them, and on the map the outline of the ground that it shows.

import Style from "ol/style/Style";
import type { Camera, Point } from "../types";
import { groundOutline } from "./ground";
import { circle, createMarks, HALO, lineFeature, lineStyle, pointFeature, textOf, textScale } from "./marks";
import { seenBy } from "./points";
import type { Stage } from "./stage";

const COLOUR = "#f08bff";
const LINE = [lineStyle({ color: HALO, width: 4 }), lineStyle({ color: COLOUR, width: 1.6, lineDash: [6, 4] })];

function ring(number: string): Style[] {
  const scale = textScale();
  const text = textOf(number, COLOUR, 12 * scale, 600, { offsetX: -15 * scale, offsetY: 9 * scale });
  return [
    new Style({ image: circle(9 * scale, { color: HALO, width: 4 }) }),
    new Style({ image: circle(9 * scale, { color: COLOUR, width: 2, lineDash: [4, 3] }), text }),
  ];
}

export interface Ghost {
  camera: Camera;
  points: Point[];
}

export function createGhost(stages: Stage[]) {
  const layers = stages.map((stage) => {
    const marks = createMarks(stage.side === "map", {
      zIndex: 45,
      style: (feature) => (feature.get("number") ? ring(feature.get("number") as string) : LINE),
    });
    stage.map.addLayer(marks.layer);
    return { stage, marks };
  });
  let ghost: Ghost | null = null;
  let camera: Camera | null = null;

  const draw = () => {
    for (const { stage, marks } of layers) {
      const rings = (ghost?.points ?? []).flatMap((point, i) => {
        const at = stage.coordinateOf(point);
        const towards = camera && seenBy(stage.side, point, camera);
        const line = towards ? [lineFeature([[at, towards]])] : [];
        return [...line, pointFeature(at, { number: String(i + 1) })];
      });
      const outline = ghost && stage.side === "map" ? [lineFeature(groundOutline(ghost.camera))] : [];
      marks.show([...rings, ...outline]);
    }
  };
  return {
    set(next: Ghost | null): void {
      ghost = next;
      draw();
    },
    setCamera(next: Camera | null): void {
      camera = next;
      if (ghost) draw();
    },
  };
}
