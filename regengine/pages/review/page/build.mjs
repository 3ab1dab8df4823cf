// Bundles the page into ../static (or the folder given as an argument): the same bytes every time.
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "..", "static");
// What the page may weigh over the wire: someone may sit at a slow tunnel.
const mostBytes = 150_000;
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
await mkdir(out, { recursive: true });
const made = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.ts" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  loader: { ".svg": "dataurl" },
  plugins: [leaveOut],
  metafile: true,
  logLevel: "warning",
});
await copyFile(join(here, "src", "index.html"), join(out, "index.html"));
await writeFile(join(out, "licenses.txt"), await licenses(Object.keys(made.metafile.inputs)));

let total = 0;
for (const name of (await readdir(out)).sort()) {
  const size = gzipSync(await readFile(join(out, name)), { level: 9 }).length;
  if (name !== "licenses.txt") total += size;
  console.log(`${name}: ${size} bytes gzipped`);
}
if (total > mostBytes) {
  console.error(`The page weighs ${total} bytes gzipped, more than ${mostBytes}: bundle less.`);
  process.exit(1);
}

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
