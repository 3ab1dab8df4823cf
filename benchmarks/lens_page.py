"""The dated page of the lens benchmark: what was run, and its figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.lens_trials import Trial
from benchmarks.registration_report import command_of, title_lines
from matchers.lens_slopes import LENS_PARAMETERS


def preamble(arguments: list[str], focal_mm: float) -> list[str]:
    """What was run, where and when."""
    note = (
        f"Lenses of {focal_mm:g} mm are drawn as lenses are (`benchmarks/lens_trials.py`: focal "
        "length, principal point, barrel of up to 3 %, decentring, falloff, sharpness) and "
        "photograph the stars of the catalogue to magnitude 10 anywhere in the sky, with "
        "aberration: 1,500 x 998 pixels of 99″, 8-bit sRGB, a second, sky background with a slope "
        "of its own in each. Stars are found by the default detector; the calibration starts from "
        "a nominal lens without its distortion. New photos of the lens are then placed by the "
        "calibrated lens."
    )
    return title_lines("Lenses calibrated on simulated stars", command_of("lens", arguments), note)


def figure(
    trials: Mapping[int, Sequence[Trial]], axis: Mapping[int, Sequence[float]], path: Path
) -> None:
    """Draw errors over sigmas, axes of new photos and residuals over the picture.

    Parameters
    ----------
    trials : mapping of int to sequence of Trial
        By number of photos.
    axis : mapping of int to sequence of float
        Arc seconds by which axes of new photos are off.
    path : Path
        PNG to write.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawing, (left, middle, right) = pyplot.subplots(1, 3, figsize=(15, 4.5))
    for k, (frames, tried) in enumerate(trials.items()):
        for column, _ in enumerate(LENS_PARAMETERS):
            pulls = [t.away[column] / t.sigmas[column] for t in tried if t.sigmas[column] > 0.0]
            left.plot(
                np.full(len(pulls), column + 0.25 * (k - 0.5)),
                pulls,
                "o",
                color=f"C{k}",
                alpha=0.6,
                label=f"{frames} photo{'s' if frames > 1 else ''}" if column == 0 else None,
            )
        middle.plot(np.sort(axis[frames]), np.linspace(0, 1, len(axis[frames])), color=f"C{k}")
    left.axhspan(-1, 1, color="0.9", zorder=0)
    left.set_xticks(range(len(LENS_PARAMETERS)), LENS_PARAMETERS)
    left.set_ylabel("error / sigma")
    left.legend()
    middle.set_xlabel("axis of a new photo off by, arc seconds")
    middle.set_ylabel("share of photos")
    middle.axvline(10.0, color="0.6", ls="--")
    middle.set_xlim(left=0.0)
    most = list(trials.values())[-1]
    fit = most[0].calibration.choice.fit
    for photo, used, residual in zip(most[0].shots, fit.used, fit.residual_px, strict=True):
        pairs = most[0].calibration.pairs[most[0].shots.index(photo)]
        x, y = photo.photo.stars.x[pairs.detection], photo.photo.stars.y[pairs.detection]
        right.quiver(
            x[used], y[used], residual[used, 0], -residual[used, 1], scale=6.0, width=0.0008
        )
    right.set_xlim(0, fit.cameras[0].width_px)
    right.set_ylim(fit.cameras[0].height_px, 0)
    right.set_aspect("equal")
    right.set_title("residuals of one lens' stars (arrow across: 6 px)", fontsize=9)
    drawing.tight_layout()
    drawing.savefig(path, dpi=90)
    pyplot.close(drawing)
