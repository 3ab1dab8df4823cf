"""A trial: one simulated photograph, what the engine is told of it, and what is true of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.simulate.camera import SimCamera

Half = Literal["train", "test"]
Kind = Literal["city", "dark", "stars", "aurora", "noise", "elsewhere", "other_time"]
Factor = float | int | str | bool | None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One photograph with known truth."""

    seed: int
    half: Half  # "train" or "test"
    # "city" shows lights near where the element set puts the station; "elsewhere" and "other_time"
    # show lights that cannot be seen from there; the others show none.
    kind: Kind
    photo: bytes  # JPEG with EXIF: body, what the camera's clock said, focal length unless unknown
    tle_text: str  # the element set that the engine is given
    camera: SimCamera  # the true one, of the stored picture
    factors: dict[str, Factor]  # all that was drawn, flat
    registrable: bool  # a city with at least eight separable lit places
    places: int  # separable lit places
    # ``camera``, ``footprint`` and ``reference_points`` in the words of the samples' truth files
    truth: dict[str, Any]
