"""What the picture itself tells of its quality: how sharp it is, how much clouds hide."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from regengine.errors import FrameError
from regengine.export.frame import ExportFrame
from regengine.light_windows import HasWindows, ground_sample_km
from regengine.report.photos import photo_file

Source = Literal["photo", "lights"]
READ_PX = 1024  # long side at which lights are sought
# What cameras raise that this program never made: a damaged store's, or a stranger's
ABSURD = (ValueError, ArithmeticError, np.linalg.LinAlgError)


@dataclass(frozen=True, kw_only=True)
class PictureFacts:
    """What is seen in a photo.

    Attributes
    ----------
    sharpness : float or None
        1 for detail as fine as the pixels, towards 0; None where there is no detail, or no photo.
    cloud : float or None
        Share of the ground that clouds hide; None where that cannot be told.
    cloud_source : str or None
        ``photo`` or ``lights``.
    """

    sharpness: float | None = None
    cloud: float | None = None
    cloud_source: Source | None = None


NOTHING_SEEN = PictureFacts()


def look(frame: ExportFrame, light_map: HasWindows | None = None) -> PictureFacts:
    """Look at a frame's photo.

    Parameters
    ----------
    frame : ExportFrame
        Its photo is looked for where the store says, and beside the store.
    light_map : HasWindows, optional
        Where it tells how much clouds hide, it does so; else the photo does, by day or moonlight.

    Returns
    -------
    PictureFacts
        `NOTHING_SEEN` where the photo is gone, has changed since, or cannot be read.
    """
    from regengine.scene.picture import scene_picture
    from regengine.scene.quality import photo_quality, read_for_quality

    path = photo_file(frame.result.path, frame.store)
    if path is None:
        return NOTHING_SEEN
    try:
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != frame.result.sha256:
                return NOTHING_SEEN
        rgb = read_for_quality(path)
        hidden = None if light_map is None else _hidden(path, frame, light_map)
    except (FrameError, OSError):
        return NOTHING_SEEN
    quality = photo_quality(rgb, scene_picture(rgb), frame.result.category or "")
    cloud = quality.cloud_fraction if hidden is None else hidden
    source: Source = "photo" if hidden is None else "lights"
    return PictureFacts(
        sharpness=None if quality.blur.sigma_px is None else quality.blur.sharpness,
        cloud=cloud,
        cloud_source=None if cloud is None else source,
    )


def _hidden(path: Path, frame: ExportFrame, light_map: HasWindows) -> float | None:
    """Share of the map's lights that are not seen; None without a camera that is believed."""
    from regengine.catalogue.hidden_lights import hidden_share
    from regengine.image import read_linear_light
    from regengine.photo_camera import lights_of_photo

    rejected = frame.review is not None and frame.review.decision == "rejected"
    if frame.camera is None or frame.verdict != "accepted" or rejected:
        return None
    try:
        light = read_linear_light(path, max_long_side_px=READ_PX)
        lights = lights_of_photo(light, ground_sample_km(frame.camera) / light.factor)
        return hidden_share(lights.sharp, frame.camera, light_map)
    except ABSURD:
        return None
