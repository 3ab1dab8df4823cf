"""List the focal lengths that a search tries: the given one, crops of it, or the usual lenses.

Their shares, with those of views and the yields of methods, are in ``stage_yields.csv``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from matchers.geometry.camera import Camera
from regengine.photo.frame import FULL_FRAME_MM
from regengine.registration.parameters import LENS


@dataclass(frozen=True, kw_only=True)
class LensBelief:
    """A focal length to try, with its prior.

    ratio: Ratio to the nominal focal length.
    share: Probability that the true one is nearer to it than to the others that are tried.
    sigma_log_focal: Standard deviation of its natural logarithm.
    is_cropped: Whether the optical axis may be off the middle.
    ladder: Divisors of the focal length; asterisms are compared at each of these in turn.
    """

    ratio: float
    share: float = 1.0
    sigma_log_focal: float = LENS.sigma_log_focal
    is_cropped: bool = False
    ladder: tuple[float, ...] = (1.0,)


def is_telephoto(camera: Camera) -> bool:
    """Whether a frame lies within one city, by the field of view of its long side."""
    longest = max(camera.width_px, camera.height_px)
    return bool(
        np.degrees(2.0 * np.arctan(0.5 * longest / camera.focal_px)) < LENS.telephoto_field_deg
    )


def list_lens_beliefs(
    nominal: Camera,
    yields: StageYields,
    *,
    steps: str,
    focal_known: bool,
    may_be_cropped: bool,
    doubted_focal_px: float | None = None,
) -> list[LensBelief]:
    """List the focal lengths that are worth trying.

    Parameters
    ----------
    steps : {"single", "ladder"}
        Whether each is tried by itself, or asterisms with a ladder of focal lengths around each.
    may_be_cropped : bool
        Whether the image has another aspect ratio than the sensor.
    doubted_focal_px : float, optional
        A focal length that was tried, with crops of it, without success. It is left out.
    """
    ladder = (1.0, 0.8, 1.25) if steps == "ladder" else (1.0,)  # covers 0.7 to 1.4 times
    given = yields.table(f"lens_{steps}_{'crop' if may_be_cropped else 'whole'}")
    if focal_known:
        return [
            LensBelief(
                ratio=ratio,
                share=share,
                sigma_log_focal=(
                    LENS.sigma_log_focal if ratio == 1.0 else LENS.sigma_log_focal_unsure
                ),
                is_cropped=may_be_cropped or ratio != 1.0,
                ladder=(1.0,) if ratio == 1.0 else ladder,
            )
            for ratio, share in given.items()
        ]
    # Lenses of the archive's night frames, in full-frame equivalents
    longest = max(nominal.width_px, nominal.height_px)
    was_doubted = doubted_focal_px is not None
    tried_px = [] if doubted_focal_px is None else [doubted_focal_px * ratio for ratio in given]
    beliefs = []
    for focal_mm, share in yields.table(f"lens_{steps}_unknown").items():
        focal_px = focal_mm / FULL_FRAME_MM[0] * longest
        if any(abs(np.log(focal_px / other)) < LENS.sigma_log_focal_unsure for other in tried_px):
            continue
        beliefs.append(
            LensBelief(
                ratio=focal_px / nominal.focal_px,
                share=share,
                sigma_log_focal=LENS.sigma_log_focal_unsure,
                is_cropped=may_be_cropped or was_doubted,
                ladder=ladder,
            )
        )
    return beliefs


@dataclass(frozen=True, kw_only=True)
class StageYields:
    """Tables of numbers, each row with its origin in the file.

    ``lens_*``: shares of focal lengths (ratio to the given one, or full-frame millimetres);
    ``tilt``, ``region``, ``hand``, ``half``: shares of views; ``success …``: how often a method
    finds the true camera in its box, given that earlier stages did not; ``work …``: seconds of one
    core of the machine where they were measured.
    """

    tables: dict[str, dict[str, float]]

    def table(self, name: str) -> dict[float, float]:
        """Return a table whose keys are numbers."""
        return {float(key): value for key, value in self.tables[name].items()}

    def at(self, name: str, key: str) -> float:
        """Return one value."""
        return self.tables[name][key]

    def below(self, name: str, number: float) -> float:
        """Return the value of the smallest key not below a number, or of the largest key."""
        table = self.table(name)
        return table[min((key for key in table if key >= number), default=max(table))]


@lru_cache(maxsize=1)
def read_stage_yields() -> StageYields:
    """Read the tables of this version, once per process."""
    tables: dict[str, dict[str, float]] = {}
    path = files("regengine.registration") / "stage_yields.csv"
    for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        tables.setdefault(row["table"], {})[row["key"]] = float(row["value"])
    return StageYields(tables=tables)
