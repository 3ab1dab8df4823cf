"""The same photo shown otherwise: it must give the same places on the ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from benchmarks.registration.cases import Case
from matchers.geometry.camera import Camera
from regengine.photo.frame import read_frame


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to change a picture, and the camera that takes the changed one."""

    change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]  # of shape (h, w, 3)
    camera: Callable[[Camera], Camera]
    crops: bool = False  # whether part of the scene is lost, so that the pixel pitch has to be told


def _turn(camera: Camera) -> Camera:
    """The camera of a picture turned by 90 degrees anticlockwise; of its lens k1 to k3 stay."""
    right, down, forward = camera.matrix.T
    axes = np.stack([down, -right, forward], axis=1)
    x, y = camera.principal_point
    return replace(
        camera,
        width_px=camera.height_px,
        height_px=camera.width_px,
        principal_point=(y, camera.width_px - 1 - x),
        quaternion=tuple(Rotation.from_matrix(axes).as_quat().tolist()),
    )


def _crop(share: float) -> Variant:
    """Half of the long side, from a share of it on."""

    def kept(width: int, height: int) -> tuple[slice, slice]:
        start, length = int(share * max(width, height)), max(width, height) // 2
        part = slice(start, start + length)
        return (slice(0, height), part) if width >= height else (part, slice(0, width))

    def camera_of(camera: Camera) -> Camera:
        rows, cols = kept(camera.width_px, camera.height_px)
        x, y = camera.principal_point
        return replace(
            camera,
            width_px=cols.stop - cols.start,
            height_px=rows.stop - rows.start,
            principal_point=(x - cols.start, y - rows.start),
        )

    return Variant(
        change=lambda picture: picture[kept(picture.shape[1], picture.shape[0])],
        camera=camera_of,
        crops=True,
    )


AS_IT_IS = ""
VARIANTS = {
    AS_IT_IS: Variant(change=lambda picture: picture, camera=lambda camera: camera),
    "turned 90°": Variant(change=lambda picture: np.rot90(picture, 1), camera=_turn),
    "turned 180°": Variant(
        change=lambda picture: np.rot90(picture, 2), camera=lambda camera: _turn(_turn(camera))
    ),
    "mirrored": Variant(
        change=lambda picture: picture[:, ::-1],
        camera=lambda camera: replace(camera, mirrored=not camera.mirrored),
    ),
    "middle half": _crop(0.25),
    "first half": _crop(0.0),
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
            pitch_um = read_frame(case.photo, options=options).pixel_pitch_um
            options = replace(options, pixel_pitch_um=pitch_um)
        found.append(replace(case, name=called, photo=path, options=options, variant=name))
    return found
