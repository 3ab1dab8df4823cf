"""From the whole picture of the sensor to the file: crop, turn, mirror, each with its camera."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.simulate.sim_camera import SimCamera


@dataclass(frozen=True, kw_only=True)
class Storage:
    """What was done to the picture before it was stored.

    Attributes
    ----------
    long_px : int
        Long side of the stored picture.
    crop : tuple of float
        Left, top, width, height of what was kept, as shares of the whole picture's sides.
    quarter_turns : int
        Turns by 90 degrees anticlockwise, 0 to 3.
    mirrored : bool
    """

    long_px: int
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    quarter_turns: int = 0
    mirrored: bool = False

    @property
    def crop_share(self) -> float:
        """The larger of the kept shares of width and height: 1 for the whole."""
        return max(self.crop[2], self.crop[3])


def whole_size(storage: Storage, shape: float) -> tuple[float, float]:
    """Width and height of the whole picture at the stored picture's scale, pixels.

    Parameters
    ----------
    storage : Storage
    shape : float
        Width over height of the sensor.
    """
    kept_width, kept_height = storage.crop[2], storage.crop[3] / shape  # of the whole's width
    width = storage.long_px / max(kept_width, kept_height)
    return width, width / shape


def stored_camera(whole: SimCamera, storage: Storage) -> SimCamera:
    """Camera of the stored picture.

    Parameters
    ----------
    whole : SimCamera
        Of the whole picture at the stored picture's scale; its size may be off by a rounding.
    storage : Storage

    Returns
    -------
    SimCamera
    """
    left, top, width, height = storage.crop
    camera = cropped(
        whole,
        round(left * whole.width_px),
        round(top * whole.height_px),
        round(width * whole.width_px),
        round(height * whole.height_px),
    )
    for _ in range(storage.quarter_turns):
        camera = turned(camera)
    return replace(camera, mirrored=storage.mirrored)


def cropped(camera: SimCamera, left: int, top: int, width: int, height: int) -> SimCamera:
    """Camera of ``picture[top : top + height, left : left + width]``."""
    return replace(
        camera,
        width_px=width,
        height_px=height,
        principal_x=camera.principal_x - left,
        principal_y=camera.principal_y - top,
    )


def turned(camera: SimCamera) -> SimCamera:
    """Camera of ``numpy.rot90(picture)``: turned by 90 degrees anticlockwise."""
    right, down, forward = camera.axes.T
    return replace(
        camera,
        width_px=camera.height_px,
        height_px=camera.width_px,
        principal_x=camera.principal_y,
        principal_y=camera.width_px - 1 - camera.principal_x,
        axes=np.stack([down, -right, forward], axis=-1),
    )


def draw_storage(rng: np.random.Generator) -> Storage:
    """Draw what archives and editors do to pictures.

    Half are whole pictures at the archive's sizes. Of the crops half keep the sensor's shape, and
    are mild (editors' copies of known frames show 1.28 and 1.4 times the lens's focal length);
    the others have any shape and go down to a third.
    """
    long_px = int(
        rng.choice([640, 800, 1000, 1280, 1600, 2000], p=[0.22, 0.08, 0.3, 0.1, 0.2, 0.1])
    )
    crop = (0.0, 0.0, 1.0, 1.0)
    if rng.random() < 0.22:
        if rng.random() < 0.5:
            width = height = float(rng.uniform(0.65, 0.97))
        else:
            larger = float(rng.uniform(1.0 / 3.0, 1.0))
            smaller = larger * float(rng.uniform(0.6, 0.95))
            width, height = (larger, smaller) if rng.random() < 0.5 else (smaller, larger)
        left, top = (1.0 - width) * float(rng.random()), (1.0 - height) * float(rng.random())
        crop = (left, top, width, height)
    turns = int(rng.choice([0, 1, 2, 3], p=[0.8, 0.08, 0.04, 0.08]))
    return Storage(
        long_px=long_px, crop=crop, quarter_turns=turns, mirrored=bool(rng.random() < 0.03)
    )
