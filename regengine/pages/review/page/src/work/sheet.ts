// The sheet: many proposals looked at together, each photo with the map's marks through its camera. What
// is marked comes first in the queue; all others are kept as glanced at, once the person says so.

import type { LookedAt, Sheet, SheetTile } from "../types";
import { api } from "./api";
import { button, element, refill } from "./dom";
import { keyHint } from "./keys";
import { sentenceOf } from "./notices";
import { count, probability, VERDICT_WORDS } from "./text";

type Mark = "wrong" | "doubtful" | "right";

/** Of a tile with its caption, at least. */
const ROOM_PX = [312, 290] as const;
const [MIN_TILES, MAX_TILES] = [12, 30] as const;
const NOTICE =
  "The map's marks lie on each photo where its camera has them; the photo that you point at takes turns with the map (hold F). ";
const CHECKS =
  "To learn how many are overlooked, one photo of thirty is shown with a wrong camera on purpose: nothing is kept of it.";

export function createSheet(needs: { readonly: boolean; filter: () => string; open: (frame: number) => void; ended: () => void }) {
  let sheet: Sheet | null = null;
  let marks: Mark[] = [];
  let before: Mark[][] = []; // to take back
  let waiting = 0; // for pictures
  let since = 0;
  let at = 0;
  const title = element("h2", { id: "sheet-title" }, "Sheet");
  const told = element("p", { attributes: { role: "status" } });
  const notice = element("p", { className: "hint" });
  const tiles = element("ul", { className: "tiles" });
  const actions: [string, string, () => unknown][] = [
    ["x", "Wrong", () => mark("wrong")],
    ["?", "Doubtful", () => mark("doubtful")],
    ["z", "Take back", takeBack],
    ["Enter", "Open", open],
    ["a", "All others are right", end],
    ["s", "Close", () => host.close()],
  ];
  const made = actions.map(([key, text, run]) =>
    button([text, keyHint(key)], () => void run(), { attributes: { "aria-keyshortcuts": key } }),
  );
  const done = made[4]!;
  Object.assign(done, { className: "accept", disabled: true });
  const heading = element("div", { className: "heading" }, title, element("div", { className: "buttons" }, ...made));
  const host = element("dialog", { id: "sheet", attributes: { "aria-labelledby": "sheet-title" } }, heading, told, notice, tiles);
  document.body.append(host);
  host.addEventListener("keydown", key);
  host.addEventListener("keyup", ({ key: name }) => name.toLowerCase() === "f" && host.classList.remove("swapped"));

  const buttonAt = (index: number) => tiles.children[index]?.querySelector("button");
  const columns = () => Math.max(1, getComputedStyle(tiles).gridTemplateColumns.split(" ").length);

  /** Show the sheet that was left, or begin one. */
  async function show(): Promise<void> {
    if (!host.open) host.showModal();
    if (sheet === null) await begin();
    else focus(at);
  }

  async function begin(): Promise<void> {
    const across = Math.max(1, Math.floor(host.clientWidth / ROOM_PX[0]));
    const room = across * Math.max(1, Math.floor(host.clientHeight / ROOM_PX[1]));
    refill(tiles);
    title.textContent = "Sheet: the photos are coming …";
    done.disabled = true;
    try {
      sheet = await api.beginSheet(needs.filter(), Math.min(MAX_TILES, Math.max(MIN_TILES, room)));
    } catch (error) {
      title.textContent = "Sheet";
      told.textContent = sentenceOf(error);
      return;
    }
    [marks, before, waiting, since] = [sheet.tiles.map(() => "right"), [], sheet.tiles.length, performance.now()];
    notice.textContent = NOTICE + (sheet.checks ? CHECKS : "");
    refill(tiles, ...sheet.tiles.map((tile, index) => element("li", {}, tileOf(sheet!, tile, index))));
    if (sheet.tiles.length === 0) {
      const these = sheet.left > sheet.looked_at ? `None of the first ${sheet.looked_at} undecided proposals` : "No undecided proposal";
      told.append(` ${these} of this filter can be shown with its map.`);
      sheet = null;
    }
    refresh();
    focus(0);
  }

  function tileOf({ sheet: name }: Sheet, tile: SheetTile, index: number): HTMLElement {
    const address = (layer: string) => `/api/sheets/${name}/${index}/${layer}.jpg`;
    const map = element("img", { className: "map", alt: "" });
    const photo = element("img", { alt: "", src: address("photo") });
    const come = () => {
      waiting -= 1;
      map.src = address("map"); // for the turn that it takes
      refresh();
    };
    photo.addEventListener("load", come, { once: true });
    photo.addEventListener("error", () => {
      photo.replaceWith(element("span", { className: "missing" }, "The photo cannot be shown: it is left alone."));
      come();
    }, { once: true });
    const said = `${VERDICT_WORDS[tile.verdict]} ${tile.probability === null ? "" : probability(tile.probability)}`;
    const caption = [
      element("span", { className: "pictures" }, photo, map),
      element("span", { className: "name" }, tile.name),
      element("span", { className: "badge", data: { verdict: tile.verdict } }, said),
      element("span", { className: "where" }, tile.place ?? "place unknown"),
      element("span", { className: "angle" }, `${tile.off_nadir_deg}° off nadir`),
      element("strong", { className: "mark" }),
    ];
    const made = button(caption, () => made.focus(), { tabIndex: -1, onfocus: () => (at = index), ondblclick: open });
    made.addEventListener("pointerenter", ({ pointerType }) => pointerType === "mouse" && made.focus({ preventScroll: true }));
    return made;
  }

  function refresh(): void {
    const marked = (which: Mark) => marks.filter((each) => each === which).length;
    if (sheet === null) title.textContent = "Sheet";
    else title.textContent = `Sheet: ${marked("wrong")} wrong and ${marked("doubtful")} doubtful of ${count(marks.length, "photo")}, ${sheet.left} undecided`;
    done.disabled = needs.readonly || sheet === null || waiting > 0;
    // All at once: a picture that takes longer tells nothing
    tiles.classList.toggle("coming", waiting > 0);
    marks.forEach((which, index) => {
      const button = buttonAt(index);
      if (!button) return;
      button.dataset.mark = which;
      button.querySelector(".mark")!.textContent = which === "right" ? "" : which;
    });
  }

  function focus(index: number): void {
    at = Math.min(Math.max(index, 0), marks.length - 1);
    tiles.querySelectorAll("button").forEach((button, each) => (button.tabIndex = each === at ? 0 : -1));
    (buttonAt(at) ?? made[5]!).focus();
  }

  function mark(which: Mark): void {
    if (marks[at] === undefined) return;
    before.push([...marks]);
    marks[at] = marks[at] === which ? "right" : which;
    refresh();
  }

  function takeBack(): void {
    marks = before.pop() ?? marks;
    refresh();
  }

  function open(): void {
    const tile = sheet?.tiles[at];
    if (tile === undefined) return;
    host.close();
    needs.open(tile.frame);
  }

  async function end(): Promise<void> {
    if (sheet === null || done.disabled) return;
    done.disabled = true;
    const numbers = (which: Mark) => marks.flatMap((each, index) => (each === which ? [index] : []));
    const names = sheet.tiles.map(({ name }) => name);
    try {
      const seconds = (performance.now() - since) / 1000;
      const answer = await api.endSheet(sheet.sheet, { wrong: numbers("wrong"), doubtful: numbers("doubtful"), seconds });
      told.textContent = sentences(answer, names);
    } catch (error) {
      told.textContent = sentenceOf(error);
      return refresh();
    }
    sheet = null;
    needs.ended();
    await begin();
  }

  function key(event: KeyboardEvent): void {
    const down = columns();
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -down, ArrowDown: down, Home: -marks.length, End: marks.length }[event.key];
    const onTile = tiles.contains(event.target as Node);
    const action = actions.find(([name]) => name === (event.key.length === 1 ? event.key.toLowerCase() : event.key));
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (step !== undefined) focus(at + step);
    else if (event.key.toLowerCase() === "f") host.classList.add("swapped");
    else if (action !== undefined && (event.key !== "Enter" || onTile)) event.repeat || void action[2]();
    else return;
    event.preventDefault();
  }

  return { show };
}

function sentences({ kept, missed, left_alone, checks, hidden }: LookedAt, names: string[]): string {
  const parts = [`Kept: ${kept.glanced} glanced at, ${kept.rejected} wrong, ${kept.unsure} doubtful.`];
  if (left_alone > 0) parts.push(`${count(left_alone, "photo")} left alone.`);
  if (checks.shown > 0) parts.push(`You found ${checks.found} of ${count(checks.shown, "wrong camera")} shown on purpose.`);
  if (missed.length > 0) parts.push(`Overlooked: ${missed.map((index) => names[index]).join(", ")}.`);
  if (hidden !== null) parts.push(`A sheet like these hides ${hidden.toFixed(1)} wrong ones on average.`);
  return parts.join(" ");
}
