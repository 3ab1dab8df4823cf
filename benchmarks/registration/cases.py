"""The real photographs as cases: what a user would tell the program of each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.row_tables import read_rows
from regengine.errors import ConfigError
from regengine.photo.frame import FrameOptions, read_frame
from regengine.registration.index.options import BlindOptions, index_file, load_earth_index
from regengine.registration.parameters import RegisterParams, SearchParams

CATEGORIES = ("cities", "cities_oblique")
WORLD_MAP = "lights/blackmarble_15as.tif"
PARIS_CLIP = "lights/samples/PAR_BM_2019_01.tif"
ELEMENT_SETS = "orbit/iss_tles.txt"
# The table of the photos is one of frame records, too: it has the nadirs that the archive recorded
RECORDS = "photos/index.csv"
WORLD = "world"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a user tells of a photo without usable EXIF."""

    options: FrameOptions = field(default_factory=FrameOptions)
    # A light map beside the world map, relative to the folder of real data; "" for none.
    clip: str = ""
    note: str = ""  # remark for the table


# The archive's record: 179 nautical miles above a sphere of the equator's radius, that is 343 km
# above the ellipsoid at 47 degrees north.
PORTLAND = FrameOptions(nadir=(-125.4, 46.9), altitude_km=343.0)
TOLD = {
    "spain_portugalpsp.jpg": Told(
        options=FrameOptions(nadir=(-8.9, 34.0), altitude_km=420.0, focal_mm=28.0)
    ),
    "Portland_ISS016-E-25314.jpg": Told(options=PORTLAND, note="focal length not told"),
    "Portland_ISS016-E-25314_edit_rot.jpg": Told(
        options=PORTLAND, note="focal length not told; turned, cropped"
    ),
    "Paris_ISS043-E-93480.jpg": Told(
        options=FrameOptions(nadir=(2.35, 48.86), focal_mm=400.0),
        clip=PARIS_CLIP,
        note="nadir taken at the city",
    ),
    "japon.png": Told(
        options=FrameOptions(time_utc=datetime(2012, 1, 26, 16, 8, 20, tzinfo=UTC)),
        note="time of ISS030-E-82770, focal length not told; cropped",
    ),
    "occupymars_E1_europe.jpg": Told(note="its EXIF time is that of an edit"),
    "iss007e10807.jpg": Told(
        options=FrameOptions(time_utc=datetime(2003, 7, 21, 10, 17, 20, tzinfo=UTC), focal_mm=35.0),
        note="time and lens of the archive's record",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One registration to try."""

    name: str  # unique; as printed.
    file: str  # the photo as the tables of the real data name it
    photo: Path  # the file to register: the photo itself, or a variant of it
    category: str = CATEGORIES[0]  # what the photo shows, as the table of the photos has it
    lights: str = WORLD  # `WORLD`, or a map relative to the folder of real data
    options: FrameOptions = field(default_factory=FrameOptions)
    note: str = ""
    same_frame: str = ""  # frame id, for copies of one frame; "" if unknown.
    variant: str = ""  # how the picture was changed; "" for the photo as it is.
    any_category: bool = False  # whether it is tried though it does not look like a city at night

    @property
    def plain(self) -> bool:
        """Whether this is the photo itself, told as well as can be."""
        return not (self.variant or self.any_category)


def search_parameters(
    max_work: float,
    *,
    methods: tuple[str, ...] = SearchParams().methods,
    any_category: bool = False,
) -> RegisterParams:
    """Parameters of searches that end by their work; the CPU limit is far."""
    usual = RegisterParams()
    return RegisterParams(
        work_budget=max_work,
        max_seconds=usual.max_seconds * max(1.0, max_work / usual.work_budget),
        any_category=any_category,
        clock=time.process_time,
        search=replace(usual.search, methods=methods),
    )


def index_words(told: str, index: Path | None, lights: Path) -> str:
    """Which index a map has; ConfigError where it is of no use, or missing and needed."""
    options = BlindOptions(index=index)
    file, found = index_file(options, [lights]), load_earth_index(options, (lights,))
    if found is None and told == "nothing":
        raise ConfigError(
            f"{lights.name} has no index, and photos of which nothing is told are found by it: "
            "make it with regengine lights index, or name it with --index."
        )
    if found is None:
        return "none"
    return "made in memory" if file is None else file.name


def list_cases(real: Path, *, cities: bool = True) -> list[Case]:
    """All city photos of a folder of real data; or all others, none of which shows a place."""
    rows = (row for row in _rows_of(real) if (row["category"] in CATEGORIES) == cities)
    cases = [case for row in rows for case in _cases_of(real, row)]
    return sorted(cases, key=lambda case: (not case.file.startswith("cities/"), case.file))


def _rows_of(real: Path) -> Iterator[dict[str, str]]:
    """Rows of the table of the photos whose files are there."""
    for row in read_rows([real / RECORDS]):
        if (real / "photos" / row["file"]).is_file():
            yield row


def _cases_of(real: Path, row: Mapping[str, str]) -> Iterator[Case]:
    path = real / "photos" / row["file"]
    told = TOLD.get(path.name, Told())
    case = Case(
        name=path.stem,
        file=row["file"],
        photo=path,
        category=row["category"],
        options=told.options,
        note=told.note,
        same_frame=row["frame_id"],
    )
    if told.clip:
        yield replace(case, name=f"{path.stem}, radiance clip", lights=told.clip)
    yield case


def pixel_pitch_um(case: Case) -> float | None:
    """Pixel pitch of a case's photo, which a crop of it keeps."""
    return read_frame(case.photo, options=case.options).pixel_pitch_um
