"""Options shared by Python and the command line: type, default, bounds and help of each.

A field of these classes is a keyword of `regengine.api` and an option of a command. The names are
the same except for dashes: ``max_seconds`` is ``--max-seconds``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from functools import partial, wraps
from inspect import Parameter, cleandoc, signature
from os import PathLike
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    TypeVar,
    get_type_hints,
)

from detectors.constants import (
    FOCAL_RANGE_MM,
    HEIGHT_RANGE_KM,
    LONG_SIDE_PX,
    PIXEL_PITCH_RANGE_UM,
    SEEN_RANGE_KM,
)
from regengine.errors import ConfigError, Option, RegengineError

if TYPE_CHECKING:
    from regengine.registration.parameters import RegisterParams
else:
    RegisterParams = Any

AnyPath = str | PathLike[str]
Paths = AnyPath | Collection[AnyPath]
Time = datetime | str
Place = tuple[float, float] | str
Kind = Literal["lights", "lightning", "stars", "streaks"]

MAX_MEMORY_MB = 3000  # streaks of 17 megapixels take 1.6 GB, stars and solving 0.9


def option(
    default: Any,
    help: str = "",
    *names: str,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    metavar: str | None = None,
    typed_default: Any = None,
) -> Any:
    """Return a field of a class of options, with the other arguments as its ``metadata``.

    ``names`` are its spellings on the command line if they do not follow from its name.
    ``typed_default`` is its default there, if it differs. An option without ``help`` exists only in
    Python.
    """
    shown = {"help": help, "names": names, "bounds": bounds, "metavar": metavar}
    return field(default=default, metadata=shown | {"typed_default": typed_default})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options as given by the user; ConfigError for a number out of bounds."""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            low, high = one.metadata.get("bounds", (-math.inf, math.inf))
            if isinstance(value, int | float) and not low <= value <= high:
                beyond = "" if high == math.inf else f" and at most {high:g}"
                text = f" is out of range: give at least {low:g}{beyond}."
                raise ConfigError(Option(one.name, str(value)), text)


# Help texts that several classes share
_LENS = (
    "Lens profile by regengine lens fit, or a folder of profiles, matched by camera and lens; "
    "may be given several times."
)
_METHOD = "Detection method.  [the best in the benchmark]"
_OVERLAY = "Draw an overlay per photo into this folder."

# Fields are in the order of the classes from last to first: inputs, known values, the search


@dataclass(frozen=True, kw_only=True)
class MapOptions(Options):
    """Maps on which photos are placed."""

    lights: Paths | None = option(
        None,
        "Night-light map: a file or a folder; may be given several times.  [those in the data "
        "folder, then the package's]",
    )
    streets: Paths | None = option(
        None,
        "Street map for telephoto photos; may be given several times.  [made by maps get and "
        "maps build]",
    )
    day: Paths | None = option(
        None,
        "Day map, for photos by day: any georeferenced raster, or a folder; may be given several "
        "times.  [those in the data folder, then the package's]",
    )


@dataclass(frozen=True, kw_only=True)
class TimeOptions(Options):
    """Sources of time and position of a photo."""

    tle: AnyPath | None = option(
        None,
        "TLE file with element sets around the photos' dates, or a folder of such files.  [those "
        "in the data folder and the package]",
    )
    metadata: AnyPath | None = option(
        None, "Table (CSV) of frame records: time, nadir, lens, camera."
    )
    time: Time | None = option(None, "Time of the photo (ISO 8601, UTC); overrides EXIF.")
    nadir: Place | None = option(
        None, "Nadir, the point below the camera; overrides the TLE.", metavar="LON,LAT"
    )


@dataclass(frozen=True, kw_only=True)
class RegisterOptions(TimeOptions, MapOptions):
    """Options of `regengine.register`."""

    centre: Place | None = option(
        None,
        "A place that the photo shows, such as a city; instead of the nadir, or in addition to "
        "the time.",
        metavar="LON,LAT",
    )
    place: str | None = option(
        None,
        "Instead of --centre, the name of a town, such as Kyoto or 'Portland, Oregon'.",
        metavar="NAME",
    )
    radius_km: float | None = option(
        None,
        "Radius around --centre or --place within which the photo shows some ground.  [100]",
        bounds=SEEN_RANGE_KM,
    )
    altitude_km: float | None = option(
        None, "Height of the camera above the ellipsoid.", bounds=HEIGHT_RANGE_KM
    )
    focal_mm: float | None = option(
        None, "Focal length of the lens; overrides EXIF.", bounds=FOCAL_RANGE_MM
    )
    pixel_pitch_um: float | None = option(
        None, "Size of a pixel of the file on the sensor.", bounds=PIXEL_PITCH_RANGE_UM
    )
    lens: Paths | None = option(None, _LENS)
    clock_window: float | None = option(
        None,
        "Maximum error of the camera's clock.  [2 minutes, then 10 minutes, then whole hours]",
        bounds=(0.0, math.inf),
        metavar="SECONDS",
    )
    max_seconds: float = option(
        240.0,
        "CPU-time limit of a photo's search; it normally stops earlier, at its work budget.",
        bounds=(0.1, math.inf),
    )
    effort: str = option(
        "normal",
        "Work budget per photo: quick finds nine in ten of what normal finds; thorough a few "
        "more, in half as much time again.",
        metavar="[quick|normal|thorough]",
    )
    any_category: bool = option(
        False, "Also try photos that are not classified as cities.", "--any-category"
    )
    neighbours: bool = option(
        True,
        "Use solved photos of the same camera to correct its clock.",
        "--neighbours/--no-neighbours",
    )
    stars: bool = option(
        True, "Use stars above the limb to find the pointing.", "--stars/--no-stars"
    )
    blind: str = option(
        "auto",
        "Blind search over the whole Earth, by the lights only: for all photos, or with auto for "
        "those without time and TLE, or nadir.",
        metavar="[always|auto|never]",
    )
    index: AnyPath | None = option(None, "Index of the map, if it is not beside the map.")
    mission: str | None = option(
        None, "For --blind: mission, such as ISS030, for the height of the orbit."
    )
    fetch: str | None = option(
        None,
        "Before the search, get the streets or pictures by day that telephoto photos of known "
        "places need, at most 2 GB.",
        metavar="[maps]",
    )
    overlay: AnyPath | None = option(None, _OVERLAY, metavar="DIR")
    params: RegisterParams | None = option(None)


@dataclass(frozen=True, kw_only=True)
class WorkerOptions(Options):
    """Worker processes and their limits."""

    workers: int = option(
        0, "Worker processes; 0 works in this process.", bounds=(0, math.inf), typed_default=1
    )
    max_memory_mb: int = option(
        MAX_MEMORY_MB,
        "Memory limit per worker; photos that need more fail (0: no limit).",
        bounds=(0, math.inf),
    )


@dataclass(frozen=True)
class StoreOptions(Options):
    """Where results go."""

    store: AnyPath = option("run.h5", "Store for the results; an existing one is extended.")


@dataclass(frozen=True, kw_only=True)
class RunOptions(WorkerOptions, RegisterOptions, StoreOptions):
    """Options of `regengine.register_many`: those of each photo, and those of the run."""

    resume: bool = option(
        True,
        "Reuse stored results of the same photo with the same settings.",
        "--resume/--no-resume",
    )
    retry: Collection[str] = option(
        (),
        "Process stored photos of these verdicts again, such as failed,review.",
        metavar="VERDICTS",
    )
    shard: str | None = option(None, "Process only share I of N of the photos.", metavar="I/N")
    scheduler: str | None = option(
        None, "Address of a Dask scheduler to run on: tcp://HOST:PORT.", metavar="ADDRESS"
    )
    progress: bool = option(False)


@dataclass(frozen=True, kw_only=True)
class ClassifyOptions(TimeOptions):
    """Options of `regengine.classify`."""

    model: AnyPath | None = option(None, "Model by regengine train.  [the built-in one]")
    quality: bool = option(
        False, "Also measure sharpness, cloud fraction and exposure.", "--quality"
    )
    features: bool = option(False, "Print the features that the classification uses.", "--features")
    solve: bool = option(False, "Identify the stars of photos that may show some.", "--solve")
    thumbnails: bool = option(False)


@dataclass(frozen=True, kw_only=True)
class DetectOptions(Options):
    """Options of `regengine.detect` and of the command."""

    method: str | None = option(None, _METHOD)
    max_side_px: int | None = option(
        None,
        "Downsample larger photos to this long side first.  "
        f"[{', '.join(f'{kind} {side}' for kind, side in LONG_SIDE_PX.items())}]",
        bounds=(64, math.inf),
    )
    whole_frame: bool = option(False, "Also search below the Earth's limb.", "--whole-frame")


@dataclass(frozen=True)
class KindOptions(DetectOptions):
    """Options of `regengine.detect`, with what is detected."""

    kind: Kind


@dataclass(frozen=True, kw_only=True)
class SolveOptions(Options):
    """Options of `regengine.solve`."""

    focal_mm: float | None = option(
        None, "Focal length to try first; overrides EXIF.", bounds=FOCAL_RANGE_MM
    )
    pixel_pitch_um: float | None = option(
        None, "Pixel pitch of the file; overrides EXIF.", bounds=PIXEL_PITCH_RANGE_UM
    )
    fov_deg: float | None = option(
        None, "Horizontal field of view to try first.", bounds=(1.0, 140.0)
    )
    lens: Paths | None = option(None, _LENS)
    method: str | None = option(None, _METHOD)
    max_seconds: float = option(30.0, "CPU-time limit per photo.", bounds=(0.1, math.inf))
    wcs: AnyPath | None = option(
        None, "Folder for a FITS WCS header per solved photo.", metavar="DIR"
    )
    overlay: AnyPath | None = option(None, _OVERLAY, metavar="DIR")


@dataclass(frozen=True, kw_only=True)
class OutputOptions(Options):
    """Output format of a command."""

    as_json: bool = option(False, "Print JSON instead of text.", "--json")
    quiet: bool = option(False, "Print no progress and no messages.", "--quiet")
    log_json: bool = option(False, "Print messages on standard error as JSON lines.", "--log-json")


@dataclass(frozen=True, kw_only=True)
class LineOptions(WorkerOptions, OutputOptions):
    """Options of commands that write one line per photo."""

    out: AnyPath | None = option(
        None,
        "Also write the records to this file; run the same command again to resume.",
        metavar="FILE.ndjson",
    )
    retry: Literal["failed", "all"] | None = option(
        None, "With --out: process failed photos, or all, again."
    )


OptionsT = TypeVar("OptionsT", bound=Options)
Fields = ParamSpec("Fields")
FirstT = TypeVar("FirstT")
FoundT = TypeVar("FoundT")


def takes(
    options: Callable[Fields, OptionsT],
) -> Callable[
    [Callable[[FirstT, OptionsT], FoundT]], Callable[Concatenate[FirstT, Fields], FoundT]
]:
    """Make a function of one argument and options take the options as arguments.

    ``help()`` and completion list them; those not in its docstring are documented by their help
    texts. Errors name keywords in place of options of the command line. Raises TypeError for an
    unknown keyword.
    """
    return partial(spread_options, options)  # type: ignore[arg-type]


def spread_options(
    options: type[Options], function: Callable[..., FoundT]
) -> Callable[..., FoundT]:
    """Return a function that takes the fields of options in place of its second parameter."""
    types, first = get_type_hints(options), next(iter(signature(function).parameters.values()))
    given = [
        Parameter(
            one.name,
            Parameter.KEYWORD_ONLY if one.kw_only else Parameter.POSITIONAL_OR_KEYWORD,
            annotation=types[one.name],
            default=Parameter.empty if one.default is MISSING else one.default,
        )
        for one in fields(options)
    ]
    given.sort(key=lambda one: one.kind)
    whole = signature(function).replace(parameters=[first, *given])

    @wraps(function)
    def called(*arguments: Any, **named: Any) -> FoundT:
        try:
            bound = whole.bind(*arguments, **named)
        except TypeError as error:
            raise TypeError(f"{function.__name__}() {error}") from None
        bound.apply_defaults()
        try:
            return function(bound.arguments.pop(first.name), options(**bound.arguments))
        except RegengineError as error:
            error.name_keywords()
            raise

    called.__dict__["__signature__"] = whole
    called.__doc__ = explain_options(cleandoc(function.__doc__ or ""), options)
    return called


def explain_options(text: str, options: type[Options]) -> str:
    """Add the options that a numpydoc docstring does not explain to its text."""
    explained = {
        name.strip()
        for line in text.splitlines()
        if " : " in line and not line.startswith(" ")
        for name in line.partition(" : ")[0].split(",")
    }
    types = {one.name: str(one.type).replace(" | None", ", optional") for one in fields(options)}
    entries = [
        f"{one.name} : {types[one.name]}\n    {one.metadata['help']}"
        for one in fields(options)
        if one.name not in explained and one.metadata.get("help")
    ]
    before, mark, after = text.partition("\nReturns\n-------")
    if not mark:
        before, mark, after = text.partition("\nRaises\n------")
    others = "\n".join(["", "Other Parameters", "----------------", *entries, ""])
    return before + others + mark + after
