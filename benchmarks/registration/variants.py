"""The same photo told or shown otherwise: it must give the same places on the ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.registration.cases import Case, pixel_pitch_um
from detectors.types import FloatArray
from matchers.geometry.camera import Camera

Size = tuple[int, int]  # width and height


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to change a picture."""

    # Picture, shape (h, w, 3) → the changed one
    change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    # X, y and size of the picture → x, y in the changed one
    place: Callable[[FloatArray, FloatArray, Size], tuple[FloatArray, FloatArray]]
    crops: bool = False  # whether part of the scene is lost, so that the pixel pitch has to be told


def _half(size: Size, share: float) -> tuple[slice, slice]:
    """Rows and columns of half of the long side, from a share of it on."""
    width, height = size
    start, length = int(share * max(size)), max(size) // 2
    part, whole = slice(start, start + length), slice(None)
    return (whole, part) if width >= height else (part, whole)


def _crop_photo(share: float) -> Variant:
    def change(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return picture[_half((picture.shape[1], picture.shape[0]), share)]

    def place(x: FloatArray, y: FloatArray, size: Size) -> tuple[FloatArray, FloatArray]:
        rows, cols = _half(size, share)
        return x - (cols.start or 0), y - (rows.start or 0)

    return Variant(change=change, place=place, crops=True)


AS_IT_IS = ""
VARIANTS = {
    AS_IT_IS: Variant(change=lambda picture: picture, place=lambda x, y, size: (x, y)),
    "turned 90°": Variant(
        change=lambda picture: np.rot90(picture, 1),
        place=lambda x, y, size: (y, size[0] - 1 - x),
    ),
    "turned 180°": Variant(
        change=lambda picture: np.rot90(picture, 2),
        place=lambda x, y, size: (size[0] - 1 - x, size[1] - 1 - y),
    ),
    "mirrored": Variant(
        change=lambda picture: picture[:, ::-1],
        place=lambda x, y, size: (size[0] - 1 - x, y),
    ),
    "middle half": _crop_photo(0.25),
    "first half": _crop_photo(0.0),
}


def variants_of(case: Case, folder: Path, only: str = "") -> list[Case]:
    """Write variants of a case's photo as PNG, with its EXIF, and give their cases."""
    found = []
    for index, (name, variant) in enumerate(VARIANTS.items()):
        called = f"{case.name}, {name}"
        if name == AS_IT_IS or only.lower() not in called.lower():
            continue
        path = folder / f"{case.photo.stem}_variant{index}.png"
        with Image.open(case.photo) as image:
            exif = image.info.get("exif", b"")
            picture = np.asarray(image.convert("RGB"))
        Image.fromarray(np.ascontiguousarray(variant.change(picture))).save(path, exif=exif)
        options = case.options
        if variant.crops:
            options = replace(options, pixel_pitch_um=pixel_pitch_um(case))
        found.append(replace(case, name=called, photo=path, options=options, variant=name))
    return found


def stored_pixels(x: FloatArray, y: FloatArray, size: Size, name: str) -> FloatArray:
    """Pixels of a variant as those of the photo as it is."""
    # Every variant shifts, turns or mirrors: three corners tell its matrix
    corners = np.stack(VARIANTS[name].place(np.array([0.0, 1, 0]), np.array([0.0, 0, 1]), size))
    matrix = corners[:, 1:] - corners[:, :1]
    return np.asarray(np.linalg.solve(matrix, np.stack([x, y]) - corners[:, :1]), np.float64)


def kept_part(camera: Camera, name: str) -> Camera:
    """The camera of that part of a photo which a variant keeps, neither turned nor mirrored."""
    if not VARIANTS[name].crops:
        return camera
    size = camera.width_px, camera.height_px
    kept = VARIANTS[name].change(np.zeros((size[1], size[0], 1), np.uint8))
    principal_x, principal_y = camera.principal_point
    x, y = VARIANTS[name].place(np.array([principal_x]), np.array([principal_y]), size)
    return replace(
        camera,
        width_px=kept.shape[1],
        height_px=kept.shape[0],
        principal_point=(float(x[0]), float(y[0])),
    )
