// Points to files and out of them: those of QGIS's georeferencer, and tables.

import { api } from "./api";
import { element } from "./dom";
import type { Editor } from "./editor";
import { say } from "./notices";
import { count } from "./text";

const KINDS = ".points,.csv,.tsv,.txt,.xml,.vrt";

export function pointsFiles(editor: Editor, wait: (work: Promise<unknown>) => void, fit: () => void): HTMLElement {
  const chosen = element("input", {
    id: "points-file",
    type: "file",
    accept: KINDS,
    hidden: true,
    onchange: () => wait(read(chosen.files?.[0])),
    attributes: { "aria-label": "File of points" },
  });

  async function read(file: File | undefined): Promise<void> {
    const { frame } = editor;
    chosen.value = "";
    if (file === undefined || frame === null) return;
    const { points } = await api.readPoints(frame.id, file.name, await file.text());
    if (editor.frame?.id !== frame.id) return;
    editor.takePoints(points);
    await editor.solved;
    fit();
    say(`${count(points.length, "point")} out of ${file.name}.`);
  }

  async function write(kind: "points" | "csv"): Promise<void> {
    const { frame } = editor;
    const { points, camera } = editor.draft;
    if (frame === null || points.length === 0) return say("There are no points to write.");
    const { name, text } = await api.writePoints(frame.id, kind, points, camera);
    const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  const button = (text: string, title: string, onclick: () => void): HTMLElement =>
    element("button", { type: "button", className: "quiet", title, onclick }, text);
  return element(
    "div",
    { className: "files", attributes: { role: "group", "aria-label": "Points and files" } },
    button("To QGIS", "Save the points as a .points file, which QGIS's georeferencer opens", () => wait(write("points"))),
    button("To CSV", "Save the points as a table", () => wait(write("csv"))),
    editor.readonly ? null : button("From a file …", "Take the points of a .points file, a table, or a GDAL .aux.xml or .vrt", () => chosen.click()),
    chosen,
  );
}
