// Bundles the page into ../static: the same bytes every time.
import { readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "static");
// Parts of OpenLayers that the page never comes to: styles told as JSON, pictures in other projections
// than their view's, and features asked for by a pixel of the screen. They say so where it does.
const WHY = `throw new Error("left out of the bundle: see build.mjs")`;
const NEVER_USED = {
  "render/canvas/style.js": `export function flatStyleLikeToStyleFunction() { ${WHY}; }`,
  "render/canvas/hitdetect.js": `export const HIT_DETECT_RESOLUTION = 1; export function createHitDetectionImageData() { ${WHY}; } export function hitDetect() { ${WHY}; }`,
  "reproj/Image.js": `export default class { constructor() { ${WHY}; } }`,
  "reproj/Tile.js": `export default class { constructor() { ${WHY}; } }`,
};
const leaveOut = {
  name: "leave out",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/node_modules\/ol\/(render\/canvas\/(style|hitdetect)|reproj\/(Image|Tile))\.js$/ }, ({ path }) => ({
      contents: NEVER_USED[path.split("/node_modules/ol/")[1]],
    })),
};

await rm(out, { recursive: true, force: true });
const made = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.ts", index: "src/index.html" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  loader: { ".html": "copy", ".svg": "dataurl" },
  plugins: [leaveOut],
  metafile: true,
  logLevel: "info",
});
await writeFile(join(out, "licenses.txt"), await licenses(Object.keys(made.metafile.inputs)));

/** The licences of the packages that went into the bundle, by name. */
async function licenses(inputs) {
  const names = new Set();
  for (const input of inputs) {
    const found = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (found) names.add(found[1]);
  }
  const parts = [];
  for (const name of [...names].sort()) {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).sort().find((each) => /^licen[cs]e/i.test(each));
    const text = file ? (await readFile(join(folder, file), "utf8")).trim() : "";
    parts.push(`${name} ${version} (${license})\n\n${text}\n`);
  }
  return parts.join("\n" + "-".repeat(72) + "\n\n");
}
