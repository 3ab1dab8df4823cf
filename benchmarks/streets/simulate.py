"""Telephoto night frames of cities, simulated: photos with EXIF, and the cameras that took them.

Two generators that share the camera, the city's lines and the writing of the file, and nothing
else. The first, in `benchmarks.streets.frames`, is what the registration is developed on; the
second, in `benchmarks.streets.harsh`, makes other assumptions.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.simulate.photo_files import CameraSettings, exif_bytes
from benchmarks.streets.city import CITIES, City, read_city
from benchmarks.streets.frames import Light, Scene, expose, see_scene
from benchmarks.streets.harsh import expose_harshly
from benchmarks.streets.shot import Shot, ShotRanges, draw_shot
from matchers.geometry.camera import Camera


@dataclass(frozen=True, kw_only=True)
class StreetFrame:
    """A simulated photo.

    Attributes
    ----------
    seed : int
        What it was drawn from.
    city : str
        Whose roads it shows.
    jpeg : bytes
        The file, with EXIF.
    shot : Shot
        The true camera, and what is told of it.
    settings : dict
        What was drawn, for tables.
    """

    seed: int
    city: str
    jpeg: bytes
    shot: Shot
    settings: dict[str, Any]

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The pixels as stored, (rows, columns, 3), red first."""
        with Image.open(io.BytesIO(self.jpeg)) as picture:
            return np.asarray(picture.convert("RGB"))


Generator = Callable[[np.random.Generator, Scene, Camera], tuple[Light, dict[str, Any]]]


def simulate_frame(
    seed: int, real: Path, *, harsh: bool = False, ranges: ShotRanges | None = None,
    city: City | None = None,
) -> StreetFrame:  # fmt: skip
    """Simulate a frame.

    Parameters
    ----------
    seed : int
        The same seed gives the same bytes.
    real : Path
        Folder of the real data, with ``streets/``.
    harsh : bool, optional
        By the second generator.
    ranges : ShotRanges, optional
        What shots are drawn from.
    city : City, optional
        Another city than one of the four.

    Returns
    -------
    StreetFrame
        The photo and its truth.
    """
    rng = np.random.default_rng([seed, 54, int(harsh)])
    city = city or read_city(real, CITIES[int(rng.integers(len(CITIES)))])
    shot = draw_shot(rng, city, ranges or ShotRanges())
    generate: Generator = expose_harshly if harsh else expose
    picture, settings = generate(rng, see_scene(city, shot.camera), shot.camera)
    told = CameraSettings(
        clock_utc=shot.reported.time_utc, focal_mm=shot.reported.focal_mm, body="NIKON D4"
    )
    buffer = io.BytesIO()
    quality = settings["quality"]
    values = np.clip(np.rint(255.0 * picture), 0, 255).astype(np.uint8)
    Image.fromarray(values).save(buffer, "JPEG", quality=quality, exif=exif_bytes(told))
    drawn = {name: round(float(value), 3) for name, value in settings.items()}
    return StreetFrame(seed=seed, city=city.name, jpeg=buffer.getvalue(), shot=shot, settings=drawn)
