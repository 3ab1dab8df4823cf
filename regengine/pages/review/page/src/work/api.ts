// The server's answers, typed; what went wrong comes as one sentence.

import type * as types from "../types";
import { link } from "./link";

/** status 0: the server was not reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }

  /** Whether the same request may succeed later: when the server is back, or when another tab has
   *  been let in by a server that was started again. */
  get passing(): boolean {
    return this.away || this.status === 429 || this.status >= 500;
  }

  /** Whether the server is gone, or another one has come: the page says so itself. */
  get away(): boolean {
    return this.status === 0 || this.status === 401;
  }
}

/** The answer where it is a good one; `keepalive`: even when the page is being left, for small bodies. */
export async function request(method: string, path: string, body?: unknown, options: Pick<RequestInit, "signal" | "keepalive"> = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(`/api/${path}`, {
      method,
      ...options,
      ...(body !== undefined && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    link.lost();
    throw new ApiError(0, "The review server does not answer.");
  }
  if (answer.status === 401) link.lost();
  if (!answer.ok) throw new ApiError(answer.status, await sentence(answer));
  return answer;
}

async function call<T>(...asked: Parameters<typeof request>): Promise<T> {
  const answer = await request(...asked);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

async function sentence(answer: Response): Promise<string> {
  if (answer.status === 401) return UNKNOWN;
  try {
    const { detail } = (await answer.json()) as { detail?: unknown };
    // The words of a route that is not there say nothing
    if (typeof detail === "string" && detail !== "Not Found") return `${detail[0]?.toUpperCase() ?? ""}${detail.slice(1)}`;
  } catch {
    // not JSON: the status says it
  }
  return `The server answered ${new URL(answer.url).pathname} with the error ${answer.status}.`;
}

export const UNKNOWN = "The server was restarted: open the address that it printed when it started.";

export type DecisionBody = types.Draft & Pick<types.Decision, "decision" | "seconds"> & { base: number };

export const api = {
  session: () => call<types.Session>("GET", "session"),
  facets: () => call<types.Facets>("GET", "facets"),
  /** All frames that pass, in order, and what the rows of the first ones say. */
  queue: (filter: string, limit: number) =>
    call<{ ids: number[]; progress: { all: number; decided: number }; frames: types.QueueRow[] }>("GET", `queue?${filter}&limit=${limit}`),
  rows: (ids: number[]) =>
    call<{ frames: types.QueueRow[] }>("GET", `frames?${ids.map((id) => `id=${id}`).join("&")}&limit=${ids.length}`),
  frame: (id: number) => call<types.Frame>("GET", `frames/${id}`),
  neighbours: (id: number) => call<{ neighbours: types.Neighbour[] }>("GET", `frames/${id}/neighbours`),
  history: (id: number) => call<types.Decision[]>("GET", `frames/${id}/history`),
  solve: (id: number, body: types.SolveRequest, signal: AbortSignal) =>
    call<types.SolveAnswer>("POST", `frames/${id}/solve`, body, { signal }),
  snap: (id: number, body: { camera: types.Camera; point: types.Point; moves: types.Side }) => call<types.SnapAnswer>("POST", `frames/${id}/snap`, body),
  evidence: (id: number, camera: types.Camera, points: types.Point[], signal: AbortSignal) =>
    call<{ points: types.PointEvidence[] }>("POST", `frames/${id}/evidence`, { camera, points }, { signal }),
  marks: (id: number, camera: types.Camera, signal: AbortSignal) =>
    call<types.MarksAnswer>("POST", `frames/${id}/marks`, { camera }, { signal }),
  search: (id: number, camera: types.Camera) =>
    call<{ job: string }>("POST", `frames/${id}/search`, { camera }),
  job: (job: string) => call<types.Job>("GET", `jobs/${encodeURIComponent(job)}`),
  cancel: (job: string) => call<unknown>("DELETE", `jobs/${encodeURIComponent(job)}`),
  beginSheet: (filter: string, most: number) => call<types.Sheet>("POST", `sheets?${filter}&count=${most}`),
  endSheet: (sheet: string, said: { wrong: number[]; doubtful: number[]; seconds: number }) =>
    call<types.LookedAt>("POST", `sheets/${sheet}`, said),
  places: (text: string, signal: AbortSignal) =>
    call<{ places: types.Place[] }>("GET", `places/search?q=${encodeURIComponent(text)}`, undefined, { signal }),
  /** The largest ones; `box`: west, south, east, north. */
  placesIn: (box: number[], limit: number, signal: AbortSignal) =>
    call<{ places: types.Place[] }>("GET", `places?bbox=${box.join(",")}&limit=${limit}`, undefined, { signal }),
  /** Encoded lines of a tile, "z/x/y". */
  outlines: (tile: string) =>
    call<{ unit_deg: number; coast?: string[]; border?: string[]; lake?: string[] }>("GET", `outlines/${tile}.json`),
  /** Why a frame cannot be accepted so; null where it can. */
  acceptance: (id: number, camera: types.Camera | null, points: types.Point[]) =>
    call<{ refusal: string | null }>("POST", `frames/${id}/acceptance`, { camera, points }),
  saveDraft: (id: number, draft: types.Draft & types.Seen) =>
    call<unknown>("PUT", `frames/${id}/draft`, draft, { keepalive: true }),
  dropDraft: (id: number, { tab, draft }: types.Seen) =>
    call<unknown>("DELETE", `frames/${id}/draft?tab=${tab}${draft === null ? "" : `&draft=${draft}`}`),
  decide: (id: number, body: DecisionBody & types.Seen) => call<types.Saved>("PUT", `frames/${id}/decision`, body),
  nadir: (time: string) => call<types.Nadir>("GET", `nadir?time_utc=${encodeURIComponent(time)}`),
  pointsFile: (id: number, points: types.Point[], camera: types.Camera | null) =>
    call<{ name: string; text: string }>("POST", `frames/${id}/points`, { points, camera }),
};

export class Kept<Key, Value> {
  private readonly kept = new Map<Key, Promise<Value>>();

  constructor(
    private readonly load: (key: Key) => Promise<Value>,
    private readonly most = Infinity,
  ) {}

  /** What failed is asked for again the next time. */
  get(key: Key): Promise<Value> {
    const found = this.kept.get(key) ?? this.load(key);
    this.kept.delete(key);
    this.kept.set(key, found); // newest last
    found.catch(() => this.kept.get(key) === found && this.kept.delete(key));
    const [oldest] = this.kept.keys();
    if (this.kept.size > this.most && oldest !== undefined) this.kept.delete(oldest);
    return found;
  }

  forget(key: Key): void {
    this.kept.delete(key);
  }
}
