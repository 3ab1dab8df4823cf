"""Lens profiles made by hand."""

from __future__ import annotations

from regengine.photo.lens_profile import LensProfile
from regengine.photo.lens_profile_file import profile_text as text_of

NONE_KNOWN = tuple((0.0,) * 8 for _ in range(8))


def profile_text(camera: str, focal_mm: float) -> str:
    """A profile's file."""
    return text_of(
        LensProfile(
            camera=camera,
            lens=None,
            focal_mm=focal_mm,
            width_px=640,
            height_px=426,
            focal_px=1500.0,
            principal_point=(319.5, 212.5),
            distortion=(0.0,) * 5,
            free=("focal_px",),
            covariance=NONE_KNOWN,
            stars=100,
            frames=2,
            rms_px=0.2,
            held_out_px=None,
            catalogue="Gaia DR3",
            catalogue_epoch=2016.0,
            made_with="regengine",
            made_at="2026-01-01T00:00:00Z",
        )
    )
