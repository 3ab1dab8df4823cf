"""Sheets: many proposals looked at together, each with the map drawn through its camera.

One tile of thirty is a check: a photo shown with a camera that is wrong as a search may be wrong.
The server alone knows which, and keeps nothing of them; they tell how many a person overlooks.
"""

from __future__ import annotations

import itertools
import math
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import SystemRandom
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import Field

from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.earth import great_circle_km
from matchers.lights.verify import find_light_peaks
from regengine.io.plain import format_count
from regengine.maps.places import place_index
from regengine.pages.review import bodies
from regengine.pages.review.context import ReviewContext, find_registered_photo
from regengine.pages.review.queue import Queue, QueueFilter, name_shown_by
from regengine.pages.review.routes_pictures import PHOTO, encode_jpeg, read_photo
from regengine.photo.notations import wrap_lon
from regengine.registration.points.solve_points import (
    PointPairs,
    carry_to_places,
    pair_points,
    turn_to_places,
)
from regengine.scene.drawing import turn_upright
from regengine.store.result import FrameResult, ReviewedPoint

TILE_PX = 480  # long side of a tile's pictures
# Sides within which the page shows them at least
SHOWN_PX = (300.0, 225.0)
MIN_TILES, MAX_TILES = 12, 30
LOOKED_AT = 4 * MAX_TILES  # proposals, for those that can be shown: to read all takes minutes
CHECK_EVERY = 30
# A check is plain to see if so many of the map's strongest lights lie farther off than that
OFF_PX, OFF_SHARE = 6.0, 0.25
SCALES = (1.02, 1 / 1.02, 1.03, 1 / 1.03, 1.05, 1 / 1.05)
NEIGHBOUR_KM = (30.0, 400.0)
KEPT_TILES = 150  # of 100 kB
KEPT_SHEETS = 4

Pictures = tuple[bytes, bytes]  # JPEGs of the photo with the map's marks, and of the map
Layer = Literal["photo", "map"]
Numbers = Annotated[list[Annotated[int, Field(ge=0, lt=MAX_TILES)]], Field(max_length=MAX_TILES)]


class LookedBody(bodies.Body):
    """What a person says of a sheet: tiles that are wrong or doubtful; all others look right."""

    wrong: Numbers
    doubtful: Numbers
    seconds: Annotated[float, Field(ge=0.0, le=1e9)]


@dataclass(kw_only=True, eq=False)
class Tile:
    """One tile of a sheet: a frame, and the camera that it is shown with."""

    number: int
    result: FrameResult
    camera: Camera
    drawn: Future[Pictures]
    is_check: bool = False
    seen: bool = False


@dataclass(kw_only=True, eq=False)
class Sheets:
    """The sheets of a review: tiles made ahead, and how well checks were seen; thread-safe."""

    context: ReviewContext
    queue: Queue
    _open: OrderedDict[str, list[Tile]] = field(default_factory=OrderedDict)
    _told: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Tiles before the next check: one of the first thirty, then one of thirty on average
    _due: int = field(default_factory=lambda: secrets.randbelow(CHECK_EVERY))
    # Of the sheets that were looked through: checks, those found, other tiles found wrong
    _checks: int = 0
    _found: int = 0
    _wrong: int = 0
    _sheets: int = 0

    def __post_init__(self) -> None:
        submit = self.context.drawing.submit
        self._start_drawing = lru_cache(KEPT_TILES)(
            lambda number, camera: submit(self._draw, number, camera)
        )

    def begin(self, wanted: QueueFilter, count: int) -> dict[str, Any]:
        """Put the next proposals of a filter on a sheet, and draw those of the next one ahead."""
        wanted = wanted.model_copy(update={"status": "sheet", "offset": 0, "limit": 0})
        page = self.queue.update().choose(wanted)
        left, numbers = page["total"], iter(page["ids"][:LOOKED_AT])
        these = [*itertools.islice(filter(self._can_show, numbers), count)]
        # Nothing of those after is read here: that takes longer than all else
        ahead = [*itertools.islice(numbers, count)]
        tiles = [self._make_tile(number) for number in these]
        check = None
        if self.context.checks and self._due < len(these):
            check = self._make_check(these)
        if check is not None:
            tiles.insert(self._due if self._due >= 0 else secrets.randbelow(len(these)), check)
            self._due += 1 + secrets.randbelow(2 * CHECK_EVERY - 1)
        del tiles[count:]
        self._due -= len(tiles)
        self.context.drawing.submit(self._draw_ahead, ahead)
        name = secrets.token_hex(8)
        self._open[name] = tiles
        while len(self._open) > KEPT_SHEETS:
            self._open.popitem(last=False)
        lines = self.queue.lines([tile.number for tile in tiles])
        return {
            "sheet": name,
            "left": left,
            "looked_at": min(left, LOOKED_AT),
            "checks": self.context.checks,
            "tiles": [
                {
                    "frame": line["id"],
                    "name": line["frame"],
                    "place": name_shown_by(tile.camera) if tile.is_check else line["place"],
                    "off_nadir_deg": round(tile.camera.off_nadir_deg),
                    "verdict": line["verdict"],
                    "probability": line["probability"],
                }
                for line, tile in zip(lines, tiles, strict=True)
            ],
        }

    def picture(self, name: str, number: int, layer: Layer) -> bytes:
        """A picture of a tile; whoever has got the photo's has seen the tile."""
        tiles = self._open.get(name, [])
        if number >= len(tiles):
            raise HTTPException(404, "this sheet does not exist any more: begin another one.")
        pictures = tiles[number].drawn.result()
        tiles[number].seen |= layer == "photo"
        return pictures[layer == "map"]

    def end(self, name: str, said: LookedBody) -> dict[str, Any]:
        """Keep what a person says of a sheet that they have looked through."""
        if name in self._told:  # the answer was lost on its way
            return self._told[name]
        tiles = self._open.get(name)
        if tiles is None:
            raise HTTPException(404, "this sheet does not exist any more: begin another one.")
        cannot = [tile for tile in tiles if tile.drawn.done() and tile.drawn.exception()]
        unseen = sum(not tile.seen for tile in tiles if tile not in cannot)
        if unseen:
            raise HTTPException(
                422, f"{format_count(unseen, 'picture')} of the sheet did not come: look at them."
            )
        kept = {"glanced": 0, "rejected": 0, "unsure": 0}
        missed, decisions = [], self.context.decisions
        self.queue.update()
        for number, tile in enumerate(tiles):
            is_marked = number in said.wrong or number in said.doubtful
            if tile.is_check:
                self._checks += tile not in cannot
                self._found += is_marked
                missed += [] if is_marked or tile in cannot else [number]
                continue
            now = self.context.result(tile.number)
            changed = (now.sha256, now.solved) != (tile.result.sha256, tile.result.solved)
            (line,) = self.queue.lines([tile.number])
            if tile in cannot or changed or line["decision"] or line["marked"]:
                continue
            decision: Literal["glanced", "rejected", "unsure"] = "glanced"
            if is_marked:
                decision = "rejected" if number in said.wrong else "unsure"
            work = {
                "camera": bodies.camera_json(tile.camera),
                "points": bodies.points_json(now, origin="engine"),
                "hypothesis": now.hypotheses[0].rank if now.hypotheses else None,
                "comment": "",
                "tags": [],
                "quality": None,
                "place": None,
                "sheet": name,
            }
            seconds, reviewer = said.seconds / len(tiles), self.context.reviewer
            decisions.save(tile.number, now, reviewer, decision, work, seconds=seconds)
            kept[decision] += 1
            self._wrong += decision == "rejected"
        self._sheets += 1
        del self._open[name]
        self._told[name] = {
            "kept": kept,
            "missed": missed,
            "left_alone": len(tiles) - sum(kept.values()) - sum(one.is_check for one in tiles),
            "checks": {"found": self._found, "shown": self._checks},
            # By the rule of succession, so that few checks promise little
            "hidden": self._wrong * (1 + self._checks - self._found) / (1 + self._found)
            / self._sheets if self._checks else None,
        }  # fmt: skip
        return self._told[name]

    def draw_first(self) -> None:
        """Draw the first sheet ahead, as few photos as it may have."""
        with self.context.frames.turn:
            first = self.queue.update().choose(QueueFilter(status="sheet", limit=0))["ids"]
        self._draw_ahead(first[:MIN_TILES])

    def _draw_ahead(self, numbers: Sequence[int]) -> None:
        for number in filter(self._can_show, numbers):
            self._make_tile(number)

    def _can_show(self, number: int) -> bool:
        result = self.context.result(number)
        has_map = result.reference_kind in self.context.maps
        return (
            result.solved is not None and has_map and self.context.frames.photo(number) is not None
        )

    def _make_tile(self, number: int, camera: Camera | None = None) -> Tile:
        """A tile whose pictures are on their way, or were made ahead."""
        result = self.context.result(number)
        assert result.solved is not None
        shown = camera or result.solved.camera
        drawn = self._start_drawing(number, shown)
        is_check = camera is not None
        return Tile(number=number, result=result, camera=shown, drawn=drawn, is_check=is_check)

    def _draw(self, number: int, camera: Camera) -> Pictures:
        from regengine.registration.overlay import brighten, draw_marks, tint_map

        result, (path, _) = self.context.result(number), find_registered_photo(self.context, number)
        photo = brighten(read_photo(path, TILE_PX))
        size = photo.shape[1], photo.shape[0]
        rendered = self._render(result, camera.scaled(size[0] / camera.width_px, *size))
        draw_marks(photo, rendered, result.reference_kind)
        one, other = (
            encode_jpeg(turn_upright(drawn, result.orientation or 1))
            for drawn in (photo, tint_map(rendered))
        )
        return one, other

    def _render(self, result: FrameResult, camera: Camera) -> FloatImage:
        """The map that placed a photo, seen through a small camera; NaN without data."""
        from regengine.registration.overlay import read_visible_map, render_map

        # So many pixels are read quickly, and show as much as a tile can
        grid = read_visible_map(self.context.map_of_kind(result.reference_kind), camera, 1e6)
        if grid is None:
            return np.full((camera.height_px, camera.width_px), np.nan, np.float32)
        return render_map(camera, grid)

    def _make_check(self, on_sheet: Sequence[int]) -> Tile | None:
        """A tile with a wrong camera that is plain to see, of a frame that is not on the sheet."""
        random = SystemRandom()
        others = self.queue.ask(
            "frame_index FROM frames WHERE verdict IN ('accepted', 'review') AND "
            "frame_index NOT IN (SELECT value FROM json_each(:these)) "
            "ORDER BY verdict, random() LIMIT 8",
            these=str(list(on_sheet)),
        )
        for (number,) in others:
            if not self._can_show(number):
                continue
            result = self.context.result(number)
            assert result.solved is not None
            right = result.solved.camera
            factor = min(1.0, TILE_PX / max(right.width_px, right.height_px))
            size = (round(factor * side) for side in (right.width_px, right.height_px))
            camera = right.scaled(factor, *size)
            rendered = self._render(result, camera)
            peaks = find_light_peaks(
                np.nan_to_num(rendered), np.isfinite(rendered).astype(np.float32), 100
            )
            places = camera.pixel_to_lonlat(peaks.x, peaks.y)
            kinds = make_wrong_cameras(right, *places) if len(peaks) else []
            random.shuffle(kinds)
            # Of the photo as the page shows it
            scale = min(SHOWN_PX[0] / right.width_px, SHOWN_PX[1] / right.height_px)
            for wrong in itertools.chain(*kinds):
                off = np.subtract(right.lonlat_to_pixel(*places), wrong.lonlat_to_pixel(*places))
                if np.mean(~(scale * np.hypot(*off) <= OFF_PX)) >= OFF_SHARE:
                    return self._make_tile(number, wrong)
        return None


def make_wrong_cameras(right: Camera, lon: FloatArray, lat: FloatArray) -> list[list[Camera]]:
    """Make wrong cameras of each kind that a search finds, the least wrong of a kind first.

    The photo is taken for its mirror image; the strongest of the map's lights, ``lon`` and ``lat``,
    for another city nearby; or the scale is off while the outermost light fits.
    """
    x, y = right.lonlat_to_pixel(lon, lat)
    middle = (right.width_px - 1) / 2.0, (right.height_px - 1) / 2.0
    far = int(np.argmax(np.hypot(x - middle[0], y - middle[1])))

    def pair(light: int, there_lon: float, there_lat: float) -> PointPairs:
        at_x, at_y = float(x[light]), float(y[light])
        point = ReviewedPoint(
            x=at_x, y=at_y, lon=there_lon, lat=there_lat, sigma_px=None, origin="engine"
        )
        return pair_points(right, [point])

    reach = 4.0 / max(math.cos(math.radians(lat[0])), 0.1)
    west, east = (wrap_lon(lon[0] + side * reach) for side in (-1.0, 1.0))
    towns = place_index().inside(west, lat[0] - 4.0, east, lat[0] + 4.0, 20)
    away_km = [float(great_circle_km(lon[0], lat[0], one.lon, one.lat)) for one in towns]
    return [
        [replace(right, mirrored=not right.mirrored)],
        [
            carry_to_places(right, pair(0, town.lon, town.lat))
            for town, km in zip(towns, away_km, strict=True)
            if NEIGHBOUR_KM[0] <= km <= NEIGHBOUR_KM[1]
        ],
        [
            turn_to_places(
                replace(right, focal_px=right.focal_px * scale), pair(far, lon[far], lat[far])
            )
            for scale in SCALES
        ],
    ]


def router(context: ReviewContext) -> APIRouter:
    """Routes of sheets."""
    routes = APIRouter(prefix="/api")
    sheets = Sheets(
        context=context, queue=Queue(context.frames, context.decisions, context.reviewer)
    )

    if context.sheet:  # while the browser starts
        context.drawing.submit(sheets.draw_first)

    @routes.post("/sheets")
    def begin(
        wanted: Annotated[QueueFilter, Query()],
        count: Annotated[int, Query(ge=1, le=MAX_TILES)] = 24,
    ) -> dict[str, Any]:
        """Begin a sheet of the first undecided proposals that pass a filter."""
        with context.frames.turn:
            return sheets.begin(wanted, count)

    @routes.get("/sheets/{name}/{number}/{layer}.jpg", response_class=Response, responses=PHOTO)
    def picture(name: str, number: Annotated[int, Field(ge=0)], layer: Layer) -> Response:
        """A tile of a sheet, upright: the photo with the map's marks, or the map."""
        return Response(sheets.picture(name, number, layer), media_type="image/jpeg")

    @routes.post("/sheets/{name}")
    def end(name: str, said: LookedBody) -> dict[str, Any]:
        """Keep what a person says of a sheet: all that is not wrong or doubtful as glanced at."""
        if context.readonly:
            raise HTTPException(403, "this review is for looking only: nothing can be decided.")
        with context.frames.turn:
            return sheets.end(name, said)

    return routes
