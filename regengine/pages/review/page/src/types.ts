// What the server sends and takes: the JSON of /api/, said once for the whole page.

export type LonLat = [number, number];

// Made by docs/field_tables.py

/** A camera as records have it; see docs/records.md. */
export interface Camera {
  width_px: number;
  height_px: number;
  focal_px: number;
  principal_point: [number, number];
  distortion: [number, number, number, number, number];
  quaternion: [number, number, number, number];
  position_ecef_m: [number, number, number];
  mirrored: boolean;
  pixel_aspect?: number | null;
}

export type Origin = "engine" | "person" | "snap" | "search" | "confirmed";

/** A control point that a person may have moved. */
export interface Point {
  x: number;
  y: number;
  lon: number;
  lat: number;
  sigma_px: number | null;
  origin: "engine" | "person" | "snap" | "search" | "confirmed";
  by_hand?: boolean;
  off?: boolean;
}

/** A town; its state where its country has others of the name. */
export interface Place {
  name: string;
  country: string;
  lon: number;
  lat: number;
  population: number;
  state?: string;
}

/** The prior nadir. */
export interface Nadir {
  lon: number;
  lat: number;
  altitude_km: number;
  source: string;
  sigma_along_km: number;
}

/** Agreement with the map. */
export interface Fit {
  residual_px: number | null;
  matched_lights: number;
  log10_odds: number | null;
  ncc: number | null;
}

/** What the store has of a frame. */
export interface FrameFields {
  path: string;
  sha256: string;
  reason_texts: string[];
  category_probability: number | null;
  width_px: number | null;
  height_px: number | null;
  orientation: number;
  focal_mm: number | null;
  pixel_pitch_um: number | null;
}

// End of what is made

export type Verdict = "accepted" | "review" | "no_match" | "failed";
export type Choice = "accepted" | "glanced" | "rejected" | "unsure";

/** What a photo is placed on: night lights, streets, or ground by day. */
export const KINDS = ["lights", "streets", "day"] as const;
export type MapKind = (typeof KINDS)[number];

/** GET /api/session */
export interface Session {
  store: string;
  frames: number;
  reviewer: string;
  readonly: boolean;
  /** Whether the page opens on a sheet. */
  sheet: boolean;
  /** The maps at hand: without the one that placed a photo it has no base map, snap, search. */
  maps: Partial<Record<MapKind, { name: string; attribution: string }>>;
  /** Whether there are element sets: a time tells the nadir. */
  orbits: boolean;
  /** Online layers that the configuration allows; empty by default. */
  layers: { name: string; url: string; attribution: string }[];
}

/** What the engine says of its proposal. */
export interface Said {
  verdict: Verdict;
  probability: number | null;
  reasons: string[];
  reason_texts: string[];
}

/** One row of the queue: GET /api/queue -> { ids, progress, frames: QueueRow[] }
 *  progress tells of all frames that the filter asks for, whoever decided them. */
export interface QueueRow extends Omit<Said, "reason_texts"> {
  id: number;
  frame: string;
  category: string | null;
  time_utc: string | null;
  camera_body: string | null;
  centre: LonLat | null;
  place: string | null;
  /** EXIF orientation 1 to 8: the page turns the view, never the coordinates. */
  orientation: number;
  /** What addresses of its pictures repeat as v. */
  version: string;
  /** Of its least precise control point. */
  sigma_m: number | null;
  decision: Choice | null;
  /** What a sheet said of it, which is still to be decided. */
  marked: "rejected" | "unsure" | null;
  reviewers: number;
  disputed: boolean;
  /** False: it was accepted for points that tell nothing beyond their camera. */
  independent: boolean;
}

/** GET /api/frames/{id}/neighbours -> { neighbours: Neighbour[] }: of the same camera, in the order of time. */
export interface Neighbour extends QueueRow {
  /** After the frame; before it below 0. */
  seconds: number;
  /** Carried along the orbit to where the frame was taken. */
  camera: Camera | null;
}

/** POST /api/sheets?filter&count=24; pictures: GET /api/sheets/{sheet}/{tile}/{photo or map}.jpg */
export interface Sheet {
  sheet: string;
  /** How many undecided proposals pass the filter. */
  left: number;
  /** How many of these are looked at, at most. */
  looked_at: number;
  /** Whether some tiles are shown with a wrong camera. */
  checks: boolean;
  tiles: SheetTile[];
}

export interface SheetTile extends Pick<QueueRow, "place" | "verdict" | "probability"> {
  frame: number;
  name: string;
  off_nadir_deg: number;
}

/** POST /api/sheets/{sheet}: tiles that are wrong or doubtful -> LookedAt */
export interface LookedAt {
  kept: Record<"glanced" | "rejected" | "unsure", number>;
  /** Tiles with a wrong camera that were taken for right. */
  missed: number[];
  left_alone: number;
  checks: { found: number; shown: number };
  /** How many wrong ones a sheet hides on average, as far as checks tell. */
  hidden: number | null;
}

/** GET /api/facets: how many frames have each value, over the whole store */
export interface Facets extends Record<"verdict" | "reason" | "category" | "camera" | "tag", Record<string, number>> {
  first_time: string | null;
  last_time: string | null;
}

export interface Hypothesis {
  rank: number;
  camera: Camera;
  ncc: number | null;
  centre: LonLat | null;
  /** "Town, Country" there; null where there is none, or not yet. */
  place: string | null;
}

/** What a person says of how the photo was taken, where its file does not. */
export interface Given {
  time_utc: string | null;
  nadir: Pick<Nadir, "lon" | "lat" | "altitude_km"> | null;
  focal_px: number | null;
}

/** Unfinished work of this reviewer: what a reload brings back. */
export interface Draft {
  given?: Given | null;
  camera: Camera | null;
  points: Point[];
  /** Which hypothesis it started from; null where it was placed by hand. */
  hypothesis: number | null;
  comment: string;
  tags: string[];
  /** 0 (useless) to 5 (excellent); null where nobody said. */
  quality: number | null;
  place: Place | null;
}

/** Who sends work, and which draft was loaded before: another one is not replaced. */
export interface Seen {
  tab: string;
  draft: string | null;
}

/** What a person said of a frame: the head of one reviewer's decisions. */
export interface Decision extends Draft {
  revision: number;
  decision: Choice;
  reviewer: string;
  time_utc: string;
  /** Seconds that the frame was in view before it was decided. */
  seconds: number | null;
  /** As of a row of the queue. */
  independent: boolean;
  /** What of it was impossible, and is left out. */
  problem: string | null;
}

/** GET /api/frames/{id} */
export interface Frame extends QueueRow, Said, FrameFields {
  nadir: Nadir | null;
  /** Points under the believed orbit around the time of the photo, oldest first. */
  track: LonLat[];
  /** Outline of the ground in sight from the nadir. */
  horizon: LonLat[];
  camera: Camera | null;
  /** Pairs as the engine measured them. */
  points: Point[];
  hypotheses: Hypothesis[];
  fit: Fit | null;
  /** What the photo was placed on. */
  reference: MapKind;
  /** Of a photo on streets or by day: patches that the fit did not see, at each scale. */
  proofs: { n_agreeing: number; n_patches: number; sample_m: number; log10_chance: number }[];
  /** Where the photo's file can be read by the server. */
  photo: boolean;
  draft: Draft | null;
  draft_version: string | null;
  /** Heads of all reviewers, newest first. */
  decisions: Decision[];
}

/** POST /api/frames/{id}/solve: SolveRequest -> SolveAnswer */
export interface SolveRequest {
  points: Point[];
  start: Camera;
  /** Whether a person told where the station was, and `start` is there. */
  placed: boolean;
}

export interface PointResidual {
  /** Point minus camera, pixels. */
  dx_px: number;
  dy_px: number;
  residual_px: number;
  residual_m: number | null;
  /** Whether it disagrees with the others beyond chance. */
  suspect: boolean;
}

export interface SolveAnswer {
  camera: Camera;
  freed: string[];
  /** Two of each point that counts, and how many of them are more than what is free. */
  observations: number;
  over: number;
  points: PointResidual[];
  /** The same points with the attitude alone free (3 degrees of freedom). */
  attitude_only: { points: PointResidual[] } | null;
  rms_px: number;
  rms_m: number | null;
  warning: string | null;
  /** Why a search from this camera would find nothing: said in `warning`, too. */
  too_few: string | null;
}

/** POST /api/frames/{id}/snap: { camera, point, moves } -> SnapAnswer; what moves is the pixel or the place. */
export interface SnapAnswer {
  found: boolean;
  point: Point | null;
  moved_px: number | null;
  why: string | null;
}

/** POST /api/frames/{id}/evidence: { camera, points } -> { points: PointEvidence[] }: how far the map lies
 *  from the photo at a point; null where they cannot be compared. */
export interface PointEvidence {
  off_px: number | null;
  sigma_px: number | null;
  why: string | null;
}

/** POST /api/frames/{id}/marks: { camera } -> MarksAnswer; where the map stands out in view. */
export interface MarksAnswer {
  marks: { lon: number; lat: number; met: boolean }[];
  /** Share that would be met by chance. */
  chance: number;
}

/** POST /api/frames/{id}/search: { camera, seconds } -> { job }; GET /api/jobs/{job} -> Job */
export interface Job {
  state: "waiting" | "running" | "done" | "failed" | "cancelled";
  seconds: number;
  message: string | null;
  result: (Said & { camera: Camera | null; points: Point[] }) | null;
}

/** PUT /api/frames/{id}/decision: { base, decision } & Draft & { seconds } -> Saved.
 *  base: revision of this reviewer's head that the page knows, 0 where it knows none. */
export interface Saved {
  revision: number;
  /** A decision of the same reviewer that the page had not seen (another tab); kept, too. */
  conflict: Decision | null;
  /** Unfinished work of another tab is kept. */
  draft_kept: boolean;
  others: Decision[];
}

export type Side = "photo" | "map";
/** side: photo and map beside each other; over: the photo warped over the map; through: the map
 *  drawn through the camera into the photo. */
export type Layout = "side" | "over" | "through";
/** select: drag points, pan; add: a click makes a point; place: drag, turn, zoom the photo over the
 *  map, or the map in the photo. */
export type Tool = "select" | "add" | "place";

export interface Adjust {
  opacity: number;
  /** 1 is neutral for all three. */
  brightness: number;
  contrast: number;
  gamma: number;
}

/** What is drawn over photo and map, and can be left out. */
export const LAYERS = ["coast", "names", "track", "outline"] as const;
export type LayerName = (typeof LAYERS)[number];

export interface LayerState {
  on: boolean;
  /** 0 to 1. */
  opacity: number;
}

/** What a person does in a view. `at` is [x, y] pixels in the photo, [lon, lat] on the map. */
export interface ViewEvents {
  moved(index: number, side: Side, at: [number, number], done: boolean): void;
  added(side: Side, at: [number, number]): void;
  selected(index: number | null): void;
  /** The mark beside a guess was clicked: the camera's guess is right. */
  confirmed(): void;
  /** The photo was moved over the map by hand (tool "place"). */
  placed(camera: Camera, done: boolean): void;
  cursor(pixel: [number, number] | null, place: LonLat | null): void;
}

/** What is worked on, in both views. */
export interface Work {
  camera: Camera | null;
  points: Point[];
  selected: number | null;
  awaited: Awaited | null;
  tool: Tool;
}

/** Where the tool "add" waits for a click: on this side, of the point that the camera guessed there. */
export interface Awaited {
  side: Side;
  /** null: there is no guess, only the first half of a pair. */
  index: number | null;
}
