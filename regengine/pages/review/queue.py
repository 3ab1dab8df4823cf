"""The review queue: filters, order, and the data of each frame for the page."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, Field

from matchers.geometry.camera import Camera
from matchers.geometry.footprint import Bounds
from regengine.io.html import escape_invisible
from regengine.io.plain import plain
from regengine.maps.places import name_view
from regengine.pages.review.bodies import agreeing_px, camera_json, decision_json, points_json
from regengine.pages.review.context import ReviewContext
from regengine.pages.review.frames import FrameColumns, ReviewFrames
from regengine.pages.review.ground_track import horizon, track
from regengine.pages.review.photo_tiles import TILE_PX, max_zoom
from regengine.store.records import margin_of, prior_nadir
from regengine.store.result import Hypothesis
from regengine.store.reviews import Brief, Decisions

Status = Literal["open", "done", "disputed", "dependent", "second", "all"]
Texts = Annotated[list[str], Field(max_length=64)]
# Prefix of an ISO 8601 time, UTC
Date = Annotated[str, Field(pattern=r"^(\d{4}(-\d{2}(-\d{2}(T[\d:.]{0,15}Z?)?)?)?)?$")]
# Number of leading digits of a photo's sha256 in the URLs of its pictures
VERSION_DIGITS = 16


class Standings:
    """Review status of every frame: decisions, disagreements and tags.

    Follows the decisions, also of other processes: each update reads only new ones. A decision
    counts only if the frame's photo is unchanged since. The status is in four bool arrays of shape
    (frames,), as of the last `update`. ``decided``: somebody decided. ``disputed``: people differ.
    ``dependent``: the decision that counts relies on its own camera only. ``second``: others
    decided and ``reviewer`` did not.
    """

    def __init__(self, decisions: Decisions, reviewer: str) -> None:
        self._decisions = decisions
        self._reviewer = reviewer
        self._lock = Lock()
        self._last = 0
        self._heads: defaultdict[int, dict[tuple[str, str], Brief]] = defaultdict(dict)
        self._rows: FrameColumns | None = None
        self._tagged: defaultdict[str, set[int]] = defaultdict(set)
        self._tags: dict[int, frozenset[str]] = {}
        self.decided = self.disputed = self.dependent = self.second = np.zeros(0, bool)

    def update(self, rows: FrameColumns) -> None:
        """Read new decisions."""
        with self._lock:
            touched = set()
            for brief in self._decisions.since(self._last):
                self._heads[brief.frame_index][brief.reviewer, brief.sha256] = brief
                touched.add(brief.frame_index)
                self._last = brief.revision
            if rows is not self._rows:
                self._rows, touched = rows, set(self._heads)
                empty = np.zeros((4, len(rows)), bool)
                self.decided, self.disputed, self.dependent, self.second = empty
                self._tagged.clear()
                self._tags.clear()
            for row in rows.rows_of(list(touched)).tolist():
                heads = self.heads(row)
                self.decided[row] = bool(heads)
                self.disputed[row] = len({head.decision for head in heads}) > 1
                self.dependent[row] = bool(heads) and not heads[0].independent
                self.second[row] = bool(heads) and all(
                    head.reviewer != self._reviewer for head in heads
                )
                tags = frozenset().union(*(head.tags for head in heads))
                before = self._tags.get(row, frozenset())
                for tag in before - tags:
                    self._tagged[tag].discard(row)
                for tag in tags - before:
                    self._tagged[tag].add(row)
                if tags or before:
                    self._tags[row] = tags

    def heads(self, row: int) -> list[Brief]:
        """Each person's latest decision on the frame of a row, newest first."""
        if self._rows is None:
            return []
        heads = self._heads.get(int(self._rows.frame_index[row]), {})
        sha256 = self._rows.sha256[row].decode() if heads else ""
        found = [head for (_, judged), head in heads.items() if judged == sha256]
        return found if len(found) < 2 else sorted(found, key=lambda head: -head.revision)

    def tagged(self, tag: str) -> NDArray[np.bool_]:
        """Which frames have a tag."""
        found = np.zeros(len(self.decided), bool)
        found[list(self._tagged.get(tag, ()))] = True
        return found

    def tags(self) -> dict[str, int]:
        """Number of frames per tag, the most frequent first."""
        counts = [(tag, len(rows)) for tag, rows in self._tagged.items() if rows]
        return dict(sorted(counts, key=lambda pair: (-pair[1], pair[0])))


class FramePlaces:
    """What frames show, by row: as stored, else named when first asked for."""

    def __init__(self, frames: ReviewFrames) -> None:
        self._frames = frames
        self._rows: FrameColumns | None = None
        self._names: dict[int, str] = {}  # of the rows of stores of earlier versions

    def name(self, rows: FrameColumns, row: int) -> str | None:
        """Town (or sea) and country that a frame shows; None if there is none."""
        if stored := ", ".join(filter(None, (rows.text("place", row), rows.text("country", row)))):
            return stored
        if math.isnan(rows.shown_lon[row]):
            return None
        if self._rows is not rows:
            self._rows, self._names = rows, {}
        if row not in self._names:
            solved = self._frames.frame(int(rows.frame_index[row])).result.solved
            self._names[row] = (None if solved is None else _name(solved.camera)) or ""
        return self._names[row] or None

    def hold(self, rows: FrameColumns, sought: str) -> NDArray[np.bool_]:
        """Which frames show a place with such a name or country, in lower case."""
        names = zip(rows.place.tolist(), rows.country.tolist(), strict=True)
        named = [sought in f"{a.decode()}, {b.decode()}".casefold() for a, b in names]
        return np.array(named, bool)


def edges_of(text: str) -> Bounds:
    """Parse ``west,south,east,north``, degrees; ValueError if it is not a box."""
    try:
        west, south, east, north = (float(edge) for edge in text.split(","))
    except ValueError:
        west = south = east = north = math.nan
    if not all(map(math.isfinite, (west, south, east, north))) or south > north:
        raise ValueError("write west,south,east,north in degrees, such as 130,30,146,46")
    return west, south, east, north


def _box(text: str) -> str:
    if text:
        edges_of(text)
    return text


class QueueFilter(BaseModel):
    """Filters of the frame list, from the query string; empty values do not filter."""

    id: Annotated[list[int], Field(max_length=500)] = []
    verdict: Texts = []
    reason: Texts = []
    category: Texts = []
    camera: Texts = []
    # The whole last day (or hour) is included
    date_from: Date = ""
    date_to: Date = ""
    # West, south, east, north, degrees, around a place that the photo shows, or the nadir if none
    # is known; west > east crosses the antimeridian
    bbox: Annotated[str, Field(max_length=100), AfterValidator(_box)] = ""
    # In the frame id, the path, or the name of the town or country, case-insensitive
    text: Annotated[str, Field(max_length=200)] = ""
    # "open": nobody decided; "done": somebody did; "disputed": people differ; "dependent": accepted
    # with points that contain no information beyond their camera; "second": others decided, the
    # reviewer has not yet
    status: Status = "all"
    tag: Annotated[str, Field(max_length=100)] = ""
    sort: Literal["doubt", "time", "name"] = "doubt"
    offset: Annotated[int, Field(ge=0, lt=2**63)] = 0
    limit: Annotated[int, Field(ge=0, le=500)] = 100


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A snapshot of all frames and their status; rows are those of the columns."""

    rows: FrameColumns
    standings: Standings
    places: FramePlaces

    def chosen(self, wanted: QueueFilter, keep: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Rows of the frames that pass and have the requested status, in display order."""
        if wanted.status != "all":
            keep = keep & _standing(self.standings, wanted.status)
        order: NDArray[np.int64] = getattr(self.rows, f"by_{wanted.sort}")
        return order[keep[order]]

    def passing(self, wanted: QueueFilter) -> NDArray[np.bool_]:
        """Which frames pass a filter, regardless of review status."""
        rows = self.rows
        keep = np.ones(len(rows), bool)
        if wanted.id:
            keep &= np.isin(rows.frame_index, wanted.id)
        if wanted.verdict:
            keep &= rows.verdict.are(wanted.verdict)
        if wanted.reason:
            keep &= rows.reasons.hold(wanted.reason)
        if wanted.category:
            keep &= rows.category.are(wanted.category)
        if wanted.camera:
            keep &= rows.camera_body.are(wanted.camera)
        if wanted.date_from or wanted.date_to:
            keep &= rows.time_utc != b""
        if wanted.date_from:
            keep &= rows.time_utc >= wanted.date_from.encode()
        if wanted.date_to:
            keep &= rows.time_utc <= wanted.date_to.encode() + b"\xff"
        if wanted.bbox:
            west, south, east, north = edges_of(wanted.bbox)
            lon = np.where(np.isfinite(rows.shown_lon), rows.shown_lon, rows.nadir_lon)
            lat = np.where(np.isfinite(rows.shown_lon), rows.shown_lat, rows.nadir_lat)
            after, before = lon >= west, lon <= east
            keep &= after & before if west <= east else after | before
            keep &= (lat >= south) & (lat <= north)
        if wanted.text:
            sought = wanted.text.casefold()
            named = np.array([sought in text for text in rows.searched], bool)
            keep &= named | self.places.hold(rows, sought)
        if wanted.tag:
            keep &= self.standings.tagged(wanted.tag)
        return keep

    def line(self, row: int) -> dict[str, Any]:
        """One entry of the page's frame list."""
        rows, heads = self.rows, self.standings.heads(row)
        lon, lat = float(rows.centre_lon[row]), float(rows.centre_lat[row])
        codes = rows.reasons[row]
        return {
            "id": int(rows.frame_index[row]),
            "frame": rows.text("frame", row),
            "verdict": rows.verdict[row],
            "probability": float(rows.probability[row]),
            "reasons": codes.split(",") if codes else [],
            "category": rows.category[row] or None,
            "time_utc": rows.text("time_utc", row) or None,
            "camera_body": rows.camera_body[row] or None,
            "centre": [lon, lat] if math.isfinite(lon) and math.isfinite(lat) else None,
            "place": self.places.name(rows, row),
            "orientation": int(rows.orientation[row]),
            "version": rows.text("sha256", row)[:VERSION_DIGITS],
            "log10_odds": float(rows.log10_odds[row]),
            "log10_lead": float(rows.log10_lead[row]),
            "sigma_m": float(rows.sigma_m[row]),
            "decision": heads[0].decision if heads else None,
            "reviewers": len(heads),
            "disputed": len({head.decision for head in heads}) > 1,
            "independent": not heads or heads[0].independent,
        }

    def facets(self) -> dict[str, Any]:
        """Number of frames per value of each filter."""
        rows = self.rows
        reasons: dict[str, int] = {}
        for codes, number in rows.reasons.counts().items():
            for code in codes.split(","):
                reasons[code] = reasons.get(code, 0) + number
        known = rows.time_utc[rows.by_time_known]
        return {
            "verdict": rows.verdict.counts(),
            "reason": dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))),
            "category": rows.category.counts(),
            "camera": rows.camera_body.counts(),
            "tag": self.standings.tags(),
            "first_time": known[0].decode() if len(known) else None,
            "last_time": known[-1].decode() if len(known) else None,
        }

    def frame(self, context: ReviewContext, number: int) -> dict[str, Any]:
        """All data of one frame for the page.

        KeyError if there is no frame of this number.
        """
        result = context.frames.frame(number).result
        (row,) = self.rows.rows_of([number]).tolist() or [None]
        if row is None:
            raise KeyError(number)
        nadir, fit = prior_nadir(result), result.fit
        about_fit = ("ncc", "residual_px", "matched_lights", "log10_odds")
        about_nadir = ("lon", "lat", "altitude_km", "source", "sigma_along_km")
        said = self.line(row) | {
            "path": result.path,
            "sha256": result.sha256,
            "reason_texts": [reason.text for reason in result.reasons],
            "category_probability": result.category_probability,
            "width_px": result.width_px,
            "height_px": result.height_px,
            "orientation": result.orientation,
            "focal_mm": result.focal_mm,
            "pixel_pitch_um": result.pixel_pitch_um,
            "nadir": nadir and {name: getattr(nadir, name) for name in about_nadir},
            "track": track(result.time_utc, context.tles),
            "horizon": [] if nadir is None else horizon(nadir.lon, nadir.lat, nadir.altitude_km),
            "camera": None if result.solved is None else camera_json(result.solved.camera),
            "points": points_json(result, origin="engine"),
            "agreeing_px": None if result.solved is None else agreeing_px(result),
            "hypotheses": [self._hypothesis(hypothesis) for hypothesis in result.hypotheses],
            "fit": fit and {name: getattr(fit, name) for name in about_fit},
            # Evidence for the position: lights, or patches of streets or daytime imagery, the
            # coarse scale first
            "reference": result.reference_kind,
            "proofs": [asdict(proof) for proof in result.patch_proofs],
            "margin": margin_of(result),
            "photo": context.frames.photo(number) is not None,
            "max_zoom": max_zoom(result.width_px or 1, result.height_px or 1),
            "tile_px": TILE_PX,
        }
        heads = context.decisions.heads(number, result.sha256)
        return plain(said, escape_invisible) | {
            "draft": context.decisions.draft(number, result.sha256, context.reviewer),
            "decisions": [decision_json(head) for head in heads],
        }

    def _hypothesis(self, hypothesis: Hypothesis) -> dict[str, Any]:
        lon, lat = hypothesis.centre_lon, hypothesis.centre_lat
        return {
            "rank": hypothesis.rank,
            "camera": camera_json(hypothesis.solved.camera),
            "ncc": hypothesis.ncc,
            "log10_odds": hypothesis.log10_odds,
            "centre": None if lon is None or lat is None else [lon, lat],
            "place": _name(hypothesis.solved.camera),
        }


def _name(camera: Camera) -> str | None:
    place = name_view(camera)
    return None if place is None else escape_invisible(place.label)


def _standing(standings: Standings, status: Status) -> NDArray[np.bool_]:
    if status == "disputed":
        return standings.disputed
    if status == "dependent":
        return standings.dependent
    if status == "second":
        return standings.second
    return standings.decided if status == "done" else ~standings.decided
