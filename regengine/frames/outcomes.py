"""Results of the Python interface: the outcome of a photo, stores of many photos, and tables."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regengine.errors import ConfigError, FrameError, NoFrameError
from regengine.io.extras import need
from regengine.io.plain import format_count, restore_bytes

if TYPE_CHECKING:
    import geopandas
    import pandas
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from PIL.Image import Image

    from matchers.geometry.camera import Camera
    from matchers.geometry.sky_camera import SkyCamera
    from regengine.scene.detection import PhotoDetections
    from regengine.sky.stars.photo import SolvedPhoto
    from regengine.store.reasons import Reason
    from regengine.store.result import (
        FitRecord,
        FrameResult,
        HypothesisRecord,
        NadirInput,
        Reviewed,
    )
    from regengine.store.rows import StoredFrame

SHOWN_PX = 800  # longer side of an overlay in a notebook
SHOWN_ROWS = 8
SHOWN_LETTERS = 100


class Table:
    """Columns of equal length: ``table["lon"]`` and ``table.lon`` are arrays.

    ``table[3]`` is a row, ``table[mask]`` a table of some rows. Iteration yields the rows as named
    tuples.
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]]) -> None:
        self._columns = dict(columns)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns; docs/store.md describes those of a store."""
        return tuple(self._columns)

    def __getattr__(self, name: str) -> NDArray[Any]:
        columns: dict[str, NDArray[Any]] = self.__dict__.get("_columns", {})
        if name not in columns:
            known = ", ".join(columns)
            raise AttributeError(f"no column {name}: columns are {known}.")
        return columns[name]

    def __getitem__(self, wanted: str | int | slice | NDArray[Any]) -> Any:
        if isinstance(wanted, str):
            return self._columns[wanted]
        found = {name: column[wanted] for name, column in self._columns.items()}
        return self._row(**found) if isinstance(wanted, int) else Table(found)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def __iter__(self) -> Iterator[Any]:
        return (self._row(*values) for values in zip(*self._columns.values(), strict=True))

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._columns]

    @cached_property
    def _row(self) -> Callable[..., Any]:
        return namedtuple("Row", self._columns)

    def to_pandas(self) -> pandas.DataFrame:
        """Return a DataFrame; columns of several values become ``name_0``, ``name_1`` ...

        Raises ConfigError if pandas is not installed.
        """
        need("to_pandas()", "pandas")
        import pandas

        return pandas.DataFrame(self._flat())

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """Return a GeoDataFrame in WGS84: points at ``lon`` and ``lat``, or outlines of footprints.

        A footprint with a corner in the sky has no geometry; one across the antimeridian extends
        beyond 180 degrees. Raises ConfigError if geopandas is not installed, or there are no
        places.
        """
        need("to_geodataframe()", "geopandas")
        import geopandas
        import numpy as np
        from shapely import Polygon

        if "lon" in self._columns:
            shapes = geopandas.points_from_xy(self.lon, self.lat)
        elif "footprint_lon" in self._columns:
            lon = np.unwrap(self.footprint_lon, period=360.0)
            corners = np.stack([lon, self.footprint_lat], axis=-1)
            shapes = [Polygon(one) if np.isfinite(one).all() else None for one in corners]
        else:
            raise ConfigError(f"no positions among {', '.join(self.columns)}.")
        return geopandas.GeoDataFrame(self.to_pandas(), geometry=shapes, crs="EPSG:4326")

    def _flat(self) -> dict[str, NDArray[Any]]:
        """Return the columns with one value per row each."""
        flat: dict[str, NDArray[Any]] = {}
        for name, column in self._columns.items():
            values = column.reshape(len(column), math.prod(column.shape[1:])).T
            names = [name] if column.ndim == 1 else [f"{name}_{n}" for n in range(len(values))]
            flat |= zip(names, values, strict=True)
        return flat

    def _cells(self) -> list[list[str]]:
        """Return the first rows as text, below the names of the columns."""
        columns = [
            [name, *(f"{x:.6g}" if isinstance(x, float) else str(x)[:40] for x in of[:SHOWN_ROWS])]
            for name, of in self._flat().items()
        ]
        return [list(row) for row in zip(*columns, strict=True)] or [[]]

    def __repr__(self) -> str:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
            for row in cells
        ]
        shown = [x if len(x) <= SHOWN_LETTERS else f"{x[:SHOWN_LETTERS]} …" for x in lines]
        shown += ["…"] if len(self) > SHOWN_ROWS else []
        size = f"{format_count(len(self), 'row')}, {format_count(len(self.columns), 'column')}"
        return "\n".join([*shown, size])

    def _repr_html_(self) -> str:
        from html import escape

        head, *rows = self._cells()
        names = "".join(f"<th>{escape(name)}</th>" for name in head)
        lines = ("".join(f"<td>{escape(text)}</td>" for text in row) for row in rows)
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        table = f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"
        return f"{table}<p>{format_count(len(self), 'row')}</p>"


@dataclass(frozen=True, repr=False)
class Registration:
    """Result of one photo; a notebook displays its overlay.

    Attributes
    ----------
    result : FrameResult
        The complete result as stored.
    review : Reviewed or None
        The decision of a person that counts, with ``decision``, ``reviewer`` and ``time_utc``.
    lights, streets, day : tuple of Path
        The maps of its run. The overlay draws those of the kind on which the photo was placed, if
        there are any.
    """

    result: FrameResult
    lights: tuple[Path, ...] = ()
    streets: tuple[Path, ...] = ()
    day: tuple[Path, ...] = ()
    review: Reviewed | None = None

    @property
    def frame(self) -> str:
        """Name of the photo."""
        return self.result.frame

    @property
    def path(self) -> Path:
        """Path of the photo, as given."""
        return Path(restore_bytes(self.result.path))

    @property
    def verdict(self) -> str:
        """``accepted``, ``review``, ``no_match`` or ``failed``; ``rejected`` if somebody did so.

        A decision of a person counts before the verdict of the engine, ``result.verdict``.
        """
        from regengine.store.result import decide_state

        return decide_state(self.result.verdict, self.review)

    @property
    def place(self) -> str | None:
        """What the photo shows: ``Memphis, Tennessee, United States``; None if unknown."""
        from regengine.store.reviews import name_shown

        return ", ".join(filter(None, name_shown(self.result, self.review))) or None

    @property
    def probability(self) -> float | None:
        """Calibrated probability that all control points are right; None without a proposal."""
        return self.result.probability

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why it is not accepted: ``code``, ``values``, ``text`` of each; see docs/concepts.md."""
        return self.result.reasons

    @property
    def category(self) -> str | None:
        """Category of the photo: ``cities``, ``stars`` ..."""
        return self.result.category

    @property
    def time_utc(self) -> datetime | None:
        """Time of the photo, as far as it is known."""
        told = self.result.time_utc
        return None if told is None else datetime.fromisoformat(told)

    @property
    def nadir(self) -> NadirInput | None:
        """The prior nadir: the position of the camera as known before the search for lights."""
        return self.result.nadir

    @property
    def camera(self) -> Camera | None:
        """The solved camera; None without a proposal.

        Its ``pixel_to_lonlat(x, y)`` and ``lonlat_to_pixel(lon, lat)`` take numbers or arrays. They
        return NaN for a pixel in the sky, or a place that is not in front of the camera.
        """
        return None if self.result.solved is None else self.result.solved.camera

    @property
    def off_nadir_deg(self) -> float | None:
        """Angle between boresight and nadir."""
        return None if self.result.solved is None else self.result.solved.off_nadir_deg

    @cached_property
    def control_points(self) -> Table:
        """Four pixels and their places on the ground; empty without a proposal."""
        import numpy as np

        from regengine.store.rows import OF_POINT

        points = self.result.control_points
        return Table({c.name: np.array([getattr(one, c.path) for one in points]) for c in OF_POINT})

    @property
    def footprint(self) -> tuple[tuple[float, float] | None, ...] | None:
        """(lon, lat) of the corners, clockwise from the top left; None for one in the sky."""
        return self.result.footprint

    @property
    def fit(self) -> FitRecord | None:
        """Agreement of the lights with the camera."""
        return self.result.fit

    @property
    def hypotheses(self) -> tuple[HypothesisRecord, ...]:
        """Hypotheses that were evaluated completely, the proposal first."""
        return self.result.hypotheses

    def to_dict(self) -> dict[str, Any]:
        """Return the record of docs/records.md, plain values for JSON."""
        from regengine.store.records import record

        return record(self.result, self.review)

    def picture(self) -> Image:
        """Draw the overlay: the photo with the proposal drawn over it, and the verdict in words.

        Raises
        ------
        FrameError
            If the photo can no longer be read.
        """
        from PIL import Image

        from regengine.maps.opening import map_of_kind
        from regengine.registration.overlay import make_overlay

        reference = map_of_kind(self.result.reference_kind, self.lights, self.streets, self.day)
        return Image.fromarray(make_overlay(self.result, self.path, reference))

    def plot(self, ax: Axes | None = None) -> Any:
        """Return the overlay as an image for a notebook, or draw it into matplotlib axes."""
        picture = self.picture()
        if ax is None:
            return picture
        ax.imshow(picture)
        ax.set_axis_off()
        return ax

    def _repr_jpeg_(self) -> bytes | None:
        """Return the overlay for notebooks; None, which shows the text, if the photo is missing."""
        import io

        stream = io.BytesIO()
        try:
            picture = self.picture()
        except FrameError:
            return None
        picture.thumbnail((SHOWN_PX, SHOWN_PX))
        picture.save(stream, format="JPEG", quality=80)
        return stream.getvalue()

    def __repr__(self) -> str:
        from regengine.store.records import summary_words

        codes = [reason.code for reason in self.reasons]
        words = [self.frame, self.verdict, *codes, *summary_words(self.result)]
        return f"<Registration {'; '.join(words)}>"


class Detections(Table):
    """Detections of one method in one photo, one per row, in pixels of the photo as stored.

    Attributes
    ----------
    photo : PhotoDetections
        Frame, path and method.
    kind : str
        ``lights``, ``lightning``, ``stars`` or ``streaks``.
    """

    def __init__(self, photo: PhotoDetections[Any], kind: str) -> None:
        import numpy as np

        found, count = vars(photo.found).items(), len(photo.found)
        super().__init__(
            {name: x for name, x in found if isinstance(x, np.ndarray) and len(x) == count}
        )
        self.photo = photo
        self.kind = kind

    def to_dict(self) -> dict[str, Any]:
        """Return the record of docs/records.md."""
        from regengine.scene.detection import SOUGHT

        return SOUGHT[self.kind].to_dict(self.photo)

    @property
    def method(self) -> str:
        """Name of the detector."""
        return self.photo.method


@dataclass(frozen=True, repr=False)
class StarField:
    """Result of a photo of stars.

    Attributes
    ----------
    photo : SolvedPhoto
        The photo, its detected stars, and the outcome.
    """

    photo: SolvedPhoto

    @property
    def solved(self) -> bool:
        """Whether the stars were identified."""
        return self.reason is None

    @property
    def reason(self) -> Reason | None:
        """Why they were not identified."""
        from regengine.store.reasons import Reason

        return self.photo.outcome if isinstance(self.photo.outcome, Reason) else None

    @property
    def camera(self) -> SkyCamera | None:
        """Attitude and lens; None if the stars were not identified.

        ``ra_dec_deg``, ``roll_deg`` and ``fov_x_deg`` are those of the image's centre, ICRS.
        """
        outcome: Any = self.photo.outcome
        return outcome.camera if self.solved else None

    @cached_property
    def stars(self) -> Table:
        """The identified stars: pixel, ICRS direction, magnitude, residual; empty if none."""
        import numpy as np

        names = ("x", "y", "vectors_icrs", "magnitude_g", "residual_px")
        return Table({name: getattr(self.photo.outcome, name, np.array([])) for name in names})

    def to_dict(self, *, matches: bool = False) -> dict[str, Any]:
        """Return the record of docs/records.md; with ``matches``, every identified star."""
        from regengine.sky.stars.photo import record_of

        return record_of(self.photo, matches=matches)

    def __repr__(self) -> str:
        from regengine.sky.stars.photo import text_line

        return f"<StarField {text_line(self.photo)}>"


class Store(AbstractContextManager["Store"]):
    """The results of a run, from its store and journal: supports ``len``, ``in`` and iteration.

    Iteration yields the `Registration` of each photo. ``store[name]`` is that of a frame id, file
    name, path, or the start of a file's SHA-256. Tables are read when first used. A store that a
    run is writing must be opened again to read new results.
    """

    def __init__(self, path: str | PathLike[str], lights: tuple[Path, ...] = ()) -> None:
        from regengine.store.read import Snapshot

        self.path = Path(path)
        self._lights = lights
        with Snapshot(self.path) as snapshot:
            self._size = len(snapshot.frame_index)

    @cached_property
    def frames(self) -> Table:
        """One row per photo; ``verdict`` is the engine's until somebody decides, see `review`."""
        import numpy as np

        from regengine.store.read import read_tables
        from regengine.store.reviews import apply_review

        rows = read_tables(self.path, ("frames",))["frames"]
        for name in ("decision", "reviewer", "reviewed_utc"):
            rows[name] = np.full(len(rows["frame_index"]), "", dtype=object)
        for place, number in enumerate(rows["frame_index"].tolist()):
            if review := self._reviews.get(number):
                said = apply_review({"verdict": rows["verdict"][place]}, review)
                for name in said.keys() & rows.keys():
                    rows[name][place] = said[name]
        return Table(rows)

    @cached_property
    def control_points(self) -> Table:
        """Four rows per placed photo; ``frame_index`` joins it to the others."""
        return self._read("control_points")

    @cached_property
    def hypotheses(self) -> Table:
        """Hypotheses that were evaluated completely."""
        return self._read("hypotheses")

    @cached_property
    def detections(self) -> Table:
        """Detected lights of the photos."""
        return self._read("detections")

    @cached_property
    def provenance(self) -> Table:
        """Origin of each result: settings, versions and times."""
        return self._read("provenance")

    def find(self, name: str) -> list[Registration]:
        """Return the photos with a name, at least one.

        Raises
        ------
        NoFrameError
            If there is none; it is also a KeyError.
        """
        from regengine.store.read import find_frames

        return [self._registration(one) for one in find_frames(self.path, name)]

    def __getitem__(self, name: str) -> Registration:
        return self.find(name)[0]

    def __contains__(self, name: str) -> bool:
        try:
            return bool(self.find(name))
        except NoFrameError:
            return False

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Registration]:
        from regengine.store.read import iter_frames

        for stored in iter_frames(self.path):
            yield self._registration(stored)

    def close(self) -> None:
        """Drop the tables; no file is open between two calls."""
        tables = ("frames", "control_points", "hypotheses", "detections", "provenance")
        for name in (*tables, "_reviews"):
            self.__dict__.pop(name, None)

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Store {self.path}: {format_count(len(self), 'photo')}>"

    @cached_property
    def _reviews(self) -> dict[int, Reviewed]:
        from regengine.store.reviews import read_reviews

        return read_reviews(self.path)

    def _registration(self, stored: StoredFrame) -> Registration:
        review = self._reviews.get(stored.frame_index)
        return Registration(stored.result, self._lights, review=review)

    def _read(self, group: str) -> Table:
        from regengine.store.read import read_tables

        return Table(read_tables(self.path, (group,))[group])
