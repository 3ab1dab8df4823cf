"""What is asked of the photo database, cut into questions that it can answer."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from regengine.errors import ConfigError

MISSION = re.compile(r"[A-Z]{2,4}\d{2,3}[A-Z]?")
LAST_FRAME = 9_999_999
TABLES = ("frames", "nadir")  # photos with a catalogued picture; photos with a nadir
NIGHT_DEG = (-90.0, -6.0)  # civil twilight has ended: city lights are seen
Range = tuple[float, float]
Box = tuple[float, float, float, float]

# Fields of the database by table. Two tables asked for in one question are joined: a photo that
# one of them lacks is not in the answer.
FIELDS = {
    "frames": (
        *("mission", "roll", "frame", "pdate", "ptime", "nlat", "nlon", "lat", "lon"),
        *("azi", "elev", "cldp", "fclt", "camera", "geon", "feat"),
    ),
    "nadir": ("mission", "roll", "frame", "pdate", "ptime", "lat", "lon", "azi", "elev", "cldp"),
}
CAMERA_FIELDS = ("camera|fclt", "camera|camera")


@dataclass(frozen=True, kw_only=True)
class FrameQuery:
    """Which photos are wanted; what is None or empty does not count.

    Attributes
    ----------
    missions : tuple of str
        Such as ``ISS030``.
    first, last : date or None
        GMT days, both included.
    nadir_box : tuple of float or None
        West, south, east, north, degrees; west above east crosses the antimeridian.
    focal_mm, sun_elevation_deg : tuple of float or None
        Lowest and highest.
    tables : tuple of str
        Of `TABLES`.
    """

    missions: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None
    nadir_box: Box | None = None
    focal_mm: Range | None = None
    sun_elevation_deg: Range | None = None
    tables: tuple[str, ...] = TABLES

    def __post_init__(self) -> None:
        for mission in self.missions:
            if MISSION.fullmatch(mission) is None:
                raise ConfigError(f"--mission {mission!r} is none: write it such as ISS030.")
        if (self.first is None) != (self.last is None):
            raise ConfigError("Give --from and --to together.")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ConfigError(f"--from {self.first} comes after --to {self.last}.")
        if not self.missions and self.first is None:
            raise ConfigError(
                "Give --mission, or --from and --to: the whole database is too much to ask for."
            )
        if unknown := [table for table in self.tables if table not in TABLES]:
            raise ConfigError(f"--table {unknown[0]!r} is none of {', '.join(TABLES)}.")
        if self.nadir_box is not None:
            west, south, east, north = self.nadir_box
            if not (max(abs(west), abs(east)) <= 180.0 and -90.0 <= south <= north <= 90.0):
                raise ConfigError("--nadir-box is none: write WEST,SOUTH,EAST,NORTH in degrees.")


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question to the database.

    Attributes
    ----------
    wanted : FrameQuery
        What is wanted in all.
    table : str
        The table that is asked.
    with_camera : bool
        Whether the table of cameras is joined.
    mission : str or None
        The only one.
    days : tuple of date or None
        First and last.
    box : tuple of float or None
        West, south, east, north; west is not above east.
    frames : tuple of int or None
        First and last frame number.
    """

    wanted: FrameQuery
    table: str
    with_camera: bool = False
    mission: str | None = None
    days: tuple[date, date] | None = None
    box: Box | None = None
    frames: tuple[int, int] | None = None

    @property
    def conditions(self) -> str:
        """The question's conditions as the database takes them: TABLE|FIELD|OPERATOR|VALUE|…."""
        parts: list[str] = []

        def between(field: str, low: object, high: object) -> None:
            if low == high:
                parts.append(f"{field}|eq|{low}")
            else:
                parts.extend((f"{field}|ge|{low}", f"{field}|le|{high}"))

        table = self.table
        if self.mission is not None:
            parts.append(f"{table}|mission|eq|{self.mission}")
        if self.days is not None:
            between(f"{table}|pdate", *(f"{day:%Y%m%d}" for day in self.days))
        if self.frames is not None:
            between(f"{table}|frame", *self.frames)
        if self.box is not None:
            west, south, east, north = self.box
            lat, lon = ("nlat", "nlon") if table == "frames" else ("lat", "lon")
            between(f"{table}|{lat}", _number(south), _number(north))
            between(f"{table}|{lon}", _number(west), _number(east))
        if self.wanted.focal_mm is not None:
            of = "frames" if table == "frames" else "camera"
            between(f"{of}|fclt", *map(_number, self.wanted.focal_mm))
        if self.wanted.sun_elevation_deg is not None:
            between(f"{table}|elev", *map(_number, self.wanted.sun_elevation_deg))
        return "|".join(parts)

    @property
    def fields(self) -> tuple[str, ...]:
        """What the answer shall tell, each as TABLE|FIELD."""
        own = tuple(f"{self.table}|{field}" for field in FIELDS[self.table])
        return own + CAMERA_FIELDS if self.with_camera else own

    def halves(self, seen: Sequence[int]) -> tuple[Question, Question] | None:
        """Two questions that ask for the same together.

        Parameters
        ----------
        seen : sequence of int
            Frame numbers that the answer had before it was cut.

        Returns
        -------
        tuple of Question or None
            None where this one cannot be divided.
        """
        if self.days is not None and self.days[0] < self.days[1]:
            first, last = self.days
            middle = first + (last - first) // 2
            second = middle + timedelta(days=1)
            return replace(self, days=(first, middle)), replace(self, days=(second, last))
        low, high = self.frames or (0, LAST_FRAME)
        inside = sorted(number for number in seen if low <= number < high)
        cut = inside[len(inside) // 2] if inside else (low + high) // 2
        if low >= high:
            return None
        return replace(self, frames=(low, cut)), replace(self, frames=(cut + 1, high))


def questions(wanted: FrameQuery) -> list[Question]:
    """The questions to begin with: by table, mission, month and side of the antimeridian.

    Parameters
    ----------
    wanted : FrameQuery
        All that is wanted.

    Returns
    -------
    list of Question
    """
    found = []
    for table in wanted.tables:
        # Photos without a record of their camera would be lost in a join
        joins = (False,) if table == "frames" else (True,) if wanted.focal_mm else (False, True)
        for mission in wanted.missions or (None,):
            for days in _months(wanted.first, wanted.last):
                for box in _boxes(wanted.nadir_box):
                    found += [
                        Question(
                            wanted=wanted,
                            table=table,
                            with_camera=join,
                            mission=mission,
                            days=days,
                            box=box,
                        )
                        for join in joins
                    ]
    return found


def _months(first: date | None, last: date | None) -> Iterator[tuple[date, date] | None]:
    if first is None or last is None:
        yield None
        return
    begin = first
    while begin <= last:
        end = begin.replace(day=monthrange(begin.year, begin.month)[1])
        yield begin, min(end, last)
        begin = end + timedelta(days=1)


def _boxes(box: Box | None) -> tuple[Box | None, ...]:
    if box is None or box[0] <= box[2]:
        return (box,)
    west, south, east, north = box
    return (west, south, 180.0, north), (-180.0, south, east, north)


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
