// Runs the unit tests of the page, src/**/*.test.ts, in node; the files to run may be named.
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const named = process.argv.slice(2);
const found = (await readdir(join(here, "src"), { recursive: true }))
  .filter((name) => name.endsWith(".test.ts"))
  .map((name) => join("src", name))
  .sort();
const out = await mkdtemp(join(tmpdir(), "review-page-"));
try {
  await build({
    absWorkingDir: here,
    entryPoints: named.length > 0 ? named : found,
    outdir: out,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "es2022",
    sourcemap: "inline",
    logLevel: "warning",
  });
  const built = (await readdir(out, { recursive: true }))
    .filter((name) => name.endsWith(".test.mjs"))
    .map((name) => join(out, name));
  const run = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...built], {
    stdio: "inherit",
  });
  process.exitCode = run.status ?? 1;
} finally {
  await rm(out, { recursive: true, force: true });
}
