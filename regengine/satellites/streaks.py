"""Streaks of a detector's record, as measurements to be named."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from matchers.streak_evidence import Streak
from regengine.errors import FrameError
from regengine.satellites.exposure import Exposure

# What detectors that say nothing of it reach at a signal-to-noise ratio of some 10
USUAL_END_PX, USUAL_LINE_PX = 2.0, 0.5
LEAST_END_PX, LEAST_LINE_PX = 0.7, 0.3  # the light's own width, the lens' distortion
BORDER_PX = 3.0


@dataclass(frozen=True, kw_only=True)
class StreakRecord:
    """One streak of ``regengine detect streaks``, pixels of the picture as stored.

    ``cut`` says which ends lie at the border, ``kind`` what the detector takes it for.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    sigma_end_px: float
    sigma_line_px: float
    cut: tuple[bool, bool]
    kind: str = "unknown"

    def measured(self, exposure: Exposure) -> Streak:
        """The same in the picture of the exposure's middle."""
        half = 0.5 * exposure.exposure_s
        x, y = np.array([self.x1, self.x2]), np.array([self.y1, self.y2])
        ways = [
            np.stack(exposure.carried(x, y, seconds), axis=-1)
            for seconds in (np.array([-half, half]), np.array([half, -half]))
        ]
        return Streak(
            ends=np.stack(ways),
            cut=self.cut,
            sigma_end_px=self.sigma_end_px,
            sigma_line_px=self.sigma_line_px,
        )


def read_streaks(path: Path, photos: Sequence[Path]) -> dict[Path, list[dict[str, Any]]]:
    """Streaks of each photo out of a file of NDJSON, a photo a line.

    Parameters
    ----------
    path : Path
        What ``regengine detect streaks --json`` printed.
    photos : sequence of Path
        A record belongs to the photo of its path's name; the only record to the only photo.

    Returns
    -------
    dict of Path to list of dict
        Photos without a record are missing.

    Raises
    ------
    FrameError
        If the file cannot be read or holds no such records.
    """
    try:
        text = path.read_text(encoding="utf-8")
        records = [json.loads(line) for line in text.splitlines() if line.strip()]
        named = [
            (Path(str(one.get("path", ""))).name, list(one["streaks"]))
            for one in records
            if "failed" not in one  # photos that could not be read
        ]
    except OSError as error:
        raise FrameError(
            f"{path}: the streaks cannot be read ({error.strerror}): check --streaks."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FrameError(
            f"{path}: holds no streaks, a JSON object with the key 'streaks' on each line: make it "
            "with regengine detect streaks --json."
        ) from error
    if len(named) == 1 and len(photos) == 1:
        return {photos[0]: named[0][1]}
    by_name = dict(named)
    return {photo: by_name[photo.name] for photo in photos if photo.name in by_name}


def streak_of(record: dict[str, Any], width_px: int, height_px: int, source: Path) -> StreakRecord:
    """A record's numbers, with usual ones where it has none.

    Raises
    ------
    FrameError
        If it has no end points.
    """
    try:
        x1, y1, x2, y2 = (float(record[name]) for name in ("x1", "y1", "x2", "y2"))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FrameError(
            f"{source}: a streak has no end points x1, y1, x2, y2: make the file with "
            "regengine detect streaks --json."
        ) from error
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        raise FrameError(f"{source}: a streak ends nowhere (NaN or infinite): leave it out.")
    flags = record.get("flags") or ()
    told = "flags" in record
    cut = tuple(
        name in flags or (not told and at_border(x, y, width_px, height_px))
        for name, x, y in (("first_end_outside", x1, y1), ("second_end_outside", x2, y2))
    )
    return StreakRecord(
        x1=x1,
        y1=y1,
        x2=x2,
        y2=y2,
        sigma_end_px=max(_number(record.get("sigma_end_px"), USUAL_END_PX), LEAST_END_PX),
        sigma_line_px=max(_number(record.get("sigma_line_px"), USUAL_LINE_PX), LEAST_LINE_PX),
        cut=(bool(cut[0]), bool(cut[1])),
        kind=str(record.get("kind", "unknown")),
    )


def at_border(x: float, y: float, width_px: int, height_px: int) -> bool:
    """Whether a place is so near to the border that a streak may go on beyond it."""
    return min(x, width_px - 1 - x) < BORDER_PX or min(y, height_px - 1 - y) < BORDER_PX


def _number(value: object, usual: float) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return usual
    return number if math.isfinite(number) and number > 0.0 else usual
