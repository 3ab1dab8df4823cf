// The server's answers, typed; what went wrong comes as one sentence.

import type {
  Camera,
  Decision,
  Draft,
  Facets,
  Frame,
  Job,
  NadirAnswer,
  Place,
  Point,
  Progress,
  QueueFilter,
  QueueRow,
  Saved,
  Session,
  SnapAnswer,
  SnapRequest,
  SolveAnswer,
  SolveRequest,
} from "../types";
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

interface Options {
  signal?: AbortSignal;
  /** Finish even when the page is being left; for small bodies. */
  keepalive?: boolean;
}

async function call<T>(method: string, path: string, body?: unknown, options: Options = {}): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(`/api/${path}`, {
      method,
      ...options,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    link.lost();
    throw new ApiError(0, "The review server does not answer.");
  }
  if (answer.status === 401) link.lost();
  if (!answer.ok) throw new ApiError(answer.status, await sentence(answer));
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

export const UNKNOWN = "The server does not know this page: open the address that it printed when it was started.";

/** The query of a filter: lists repeat the parameter. */
export function filterQuery(filter: QueueFilter): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter) as [string, unknown][]) {
    if (value === undefined || value === "") continue;
    if (name === "bbox") query.set(name, (value as number[]).join(","));
    else if (Array.isArray(value)) for (const each of value as string[]) query.append(name, each);
    else query.set(name, String(value));
  }
  return query;
}

export type DecisionBody = Draft & Pick<Decision, "decision" | "seconds"> & { base: number };

export const api = {
  session: () => call<Session>("GET", "session"),
  facets: () => call<Facets>("GET", "facets"),
  /** All frames that pass, in order, and what the rows of the first ones say. */
  queue(filter: QueueFilter, limit: number) {
    const query = filterQuery(filter);
    query.set("limit", String(limit));
    return call<{ ids: number[]; progress: Progress; frames: QueueRow[]; named: boolean }>("GET", `queue?${query.toString()}`);
  },
  rows: (ids: number[]) =>
    call<{ frames: QueueRow[]; named: boolean }>("GET", `frames?${ids.map((id) => `id=${id}`).join("&")}&limit=${ids.length}`),
  frame: (id: number) => call<Frame>("GET", `frames/${id}`),
  history: (id: number) => call<Decision[]>("GET", `frames/${id}/history`),
  solve: (id: number, body: SolveRequest, signal: AbortSignal) =>
    call<SolveAnswer>("POST", `frames/${id}/solve`, body, { signal }),
  snap: (id: number, body: SnapRequest) => call<SnapAnswer>("POST", `frames/${id}/snap`, body),
  search: (id: number, camera: Camera) =>
    call<{ job: string }>("POST", `frames/${id}/search`, { camera }),
  job: (job: string) => call<Job>("GET", `jobs/${encodeURIComponent(job)}`),
  cancel: (job: string) => call<unknown>("DELETE", `jobs/${encodeURIComponent(job)}`),
  places: (text: string, signal: AbortSignal) =>
    call<{ places: Place[] }>("GET", `places/search?${new URLSearchParams({ q: text }).toString()}`, undefined, {
      signal,
    }),
  saveDraft: (id: number, draft: Draft) =>
    call<unknown>("PUT", `frames/${id}/draft`, draft, { keepalive: true }),
  dropDraft: (id: number) => call<unknown>("DELETE", `frames/${id}/draft`),
  decide: (id: number, body: DecisionBody) => call<Saved>("PUT", `frames/${id}/decision`, body),
  nadir: (time: string) => call<NadirAnswer>("GET", `nadir?${new URLSearchParams({ time_utc: time }).toString()}`),
  pointsFile: (id: number, points: Point[], camera: Camera | null) =>
    call<{ name: string; text: string }>("POST", `frames/${id}/points`, { points, camera }),
};
