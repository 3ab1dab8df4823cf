"""What is asked of a run of registrations, and the real photographs as cases of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from benchmarks.rows import read_csv
from regengine.errors import ConfigError
from regengine.maps.index.earth import BlindOptions, index_file, load_earth_index
from regengine.photo.frame import FrameOptions
from regengine.registration.parameters import RegisterParams, SearchParams

CATEGORIES = ("cities", "cities_oblique")
WORLD_MAP = "lights/blackmarble_15as.tif"
PARIS_CLIP = "lights/samples/PAR_BM_2019_01.tif"
ELEMENT_SETS = "orbit/iss_tles.txt"
# The table of the photos is one of frame records, too: it has the nadirs that the archive recorded
RECORDS = "photos/index.csv"
WORLD = "world"


# Of time and orbit; or nothing but the name of the town that is shown, or of towns elsewhere
Told = Literal["all", "nothing", "place", "wrong"]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a user tells of a photo without usable EXIF."""

    options: FrameOptions = field(default_factory=FrameOptions)
    clip: str = ""  # light map beside the world map, relative to the folder of real data
    note: str = ""  # remark for the table


# The archive's record: 179 nautical miles above a sphere of the equator's radius, that is 343 km
# above the ellipsoid at 47 degrees north.
PORTLAND = FrameOptions(nadir=(-125.4, 46.9), altitude_km=343.0)
KNOWN = {
    "spain_portugalpsp.jpg": Known(
        options=FrameOptions(nadir=(-8.9, 34.0), altitude_km=420.0, focal_mm=28.0)
    ),
    "Portland_ISS016-E-25314.jpg": Known(options=PORTLAND, note="focal length not told"),
    "Portland_ISS016-E-25314_edit_rot.jpg": Known(
        options=PORTLAND, note="focal length not told; turned, cropped"
    ),
    "Paris_ISS043-E-93480.jpg": Known(
        options=FrameOptions(nadir=(2.35, 48.86), focal_mm=400.0),
        clip=PARIS_CLIP,
        note="nadir taken at the city",
    ),
    "japon.png": Known(
        options=FrameOptions(time_utc=datetime(2012, 1, 26, 16, 8, 20, tzinfo=UTC)),
        note="time of ISS030-E-82770, focal length not told; cropped",
    ),
    "occupymars_E1_europe.jpg": Known(note="its EXIF time is that of an edit"),
    "iss007e10807.jpg": Known(
        options=FrameOptions(time_utc=datetime(2003, 7, 21, 10, 17, 20, tzinfo=UTC), focal_mm=35.0),
        note="time and lens of the archive's record",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One registration to try."""

    name: str  # unique; as printed.
    file: str  # the photo as the tables of the real data name it
    photo: Path  # the file to register
    category: str = CATEGORIES[0]  # what the photo shows, as the table of the photos has it
    lights: str = WORLD  # `WORLD`, or a map relative to the folder of real data
    options: FrameOptions = field(default_factory=FrameOptions)
    note: str = ""
    any_category: bool = False  # whether it is tried though it does not look like a city at night

    @property
    def plain(self) -> bool:
        """Whether this is the photo itself, told as well as can be."""
        return not self.any_category


def list_photos(real: Path, *folders: str) -> list[dict[str, str]]:
    """Rows of the indices of the real photographs, each with its `path`, of files that are there.

    Of the folder ``photos`` where none is named; ConfigError without its index.
    """
    if not (real / RECORDS).is_file():
        raise ConfigError(f"{real} holds no {RECORDS}: give the folder of the real data.")
    rows = []
    for folder in folders or ("photos",):
        index = real / folder / "index.csv"
        for row in read_csv(index) if index.is_file() else []:
            if (real / folder / row["file"]).is_file():
                rows.append(row | {"path": str(real / folder / row["file"])})
    return rows


def list_cases(real: Path, *, cities: bool = True) -> list[Case]:
    """All city photos of a folder of real data; or all others, none of which shows a place."""
    cases = []
    for row in list_photos(real):
        if (row["category"] in CATEGORIES) != cities:
            continue
        path = Path(row["path"])
        told = KNOWN.get(path.name, Known())
        case = Case(
            name=path.stem,
            file=row["file"],
            photo=path,
            category=row["category"],
            options=told.options,
            note=told.note,
        )
        if told.clip:
            cases.append(replace(case, name=f"{path.stem}, radiance clip", lights=told.clip))
        cases.append(case)
    return sorted(cases, key=lambda case: (not case.file.startswith("cities/"), case.file))


# What takes this much longer hangs
LIMIT_BUDGETS, LIMIT_REST_S = 8.0, 120.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all photos of a run share; pickles, so that workers can have it."""

    real: Path | None = None  # folder of the real data; the self-made world where None
    lights: Path | None = None  # map to register on
    half: Literal["train", "test"] = "test"  # of the simulated world
    told: Told = "all"
    index: Path | None = None  # of the map, where it is not the one beside it
    index_words: str = ""  # which that is
    mirrored_index: Path = Path("mirrored.idx")  # of a large map in the mirror, made at need
    max_work: float = RegisterParams().work_budget  # of a search
    methods: tuple[str, ...] = SearchParams().methods
    overlays: Path | None = None

    def parameters(self, *, any_category: bool = False) -> RegisterParams:
        """Parameters of searches that end by their work; the CPU limit is far."""
        usual = RegisterParams()
        return RegisterParams(
            work_budget=self.max_work,
            max_seconds=usual.max_seconds * max(1.0, self.max_work / usual.work_budget),
            any_category=any_category,
            search=replace(usual.search, methods=self.methods),
        )

    @property
    def limit_s(self) -> float:
        """Longest that one simulated trial may take: it is drawn in seconds, searched in budget."""
        return LIMIT_BUDGETS * self.parameters().max_seconds + LIMIT_REST_S

    def with_index_named(self) -> Settings:
        """The same with which index the map has; ConfigError where one is needed and missing."""
        assert self.lights is not None
        options = BlindOptions(index=self.index)
        file = index_file(options, [self.lights])
        found = load_earth_index(options, (self.lights,))
        if found is None and self.told == "nothing":
            raise ConfigError(
                f"{self.lights.name} has no index, and photos of which nothing is told are found "
                "by it: make it with regengine maps index, or name it with --index."
            )
        if found is None:
            return replace(self, index_words="none")
        return replace(self, index_words="made in memory" if file is None else file.name)
