"""Records of ``regengine solve --json``, read back: where photos were found to look."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from matchers.sky_camera import SkyCamera
from regengine.errors import ConfigError

_REMEDY = "give the output of regengine solve --json"
_FOCAL_STEPS = 30
# No lens is like that, but a damaged file may say so
_MOST_DISTORTION = 1e3
_FARTHEST_AXIS = 10.0  # of the principal point, in sizes of the picture


def read_solved(path: Path) -> dict[str, dict[str, Any]]:
    """Records of solved frames by frame id.

    Parameters
    ----------
    path : Path
        NDJSON; lines of frames that were not solved, or failed, are left out.

    Returns
    -------
    dict of str to dict

    Raises
    ------
    ConfigError
        If the file cannot be read or a line is no such record.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: solved frames cannot be read ({error}): {_REMEDY}.") from error
    found = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if "failed" in record:  # a photo that could not be read
                continue
            if record["solved"]:
                _numbers(record["quaternion_icrs"], 4)
                found[str(record["frame"])] = record
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ConfigError(
                f"{path}, line {number}, is no record of a solved frame: {_REMEDY}."
            ) from error
    return found


def camera_of_record(record: dict[str, Any], width_px: int, height_px: int) -> SkyCamera:
    """Camera of a solved frame's record.

    Parameters
    ----------
    record : dict
        Of `read_solved`.
    width_px, height_px : int
        Size of the picture as stored.

    Returns
    -------
    SkyCamera
        Its focal length is that of the record's field of view; where it has no principal
        point, the picture's middle.

    Raises
    ------
    ConfigError
        If attitude, field of view or distortion are no numbers that make sense.
    """
    try:
        qx, qy, qz, qw = _numbers(record["quaternion_icrs"], 4)
        k1, k2, p1, p2, k3 = _numbers(record["distortion"], 5)
        (field_deg,) = _numbers([record["fov_x_deg"]], 1)
        middle = [(width_px - 1) / 2.0, (height_px - 1) / 2.0]
        px, py = _numbers(record.get("principal_point", middle), 2)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ConfigError(
            f"The record of {record.get('frame')} lacks its attitude, field of view or distortion: "
            f"{_REMEDY}."
        ) from error
    lens_may_be = max(map(abs, (k1, k2, p1, p2, k3))) < _MOST_DISTORTION and max(
        abs(px), abs(py)
    ) < _FARTHEST_AXIS * max(width_px, height_px)
    if not (0.1 < field_deg < 170.0 and 0.5 < math.hypot(qx, qy, qz, qw) < 2.0 and lens_may_be):
        raise ConfigError(
            f"The record of {record.get('frame')} has an attitude, a field of view or a lens that "
            f"cannot be: {_REMEDY}."
        )
    camera = SkyCamera(
        width_px=width_px,
        height_px=height_px,
        focal_px=0.5 * width_px / math.tan(math.radians(0.5 * field_deg)),
        principal_point=(px, py),
        distortion=(k1, k2, p1, p2, k3),
        quaternion_icrs=(qx, qy, qz, qw),
        mirrored=bool(record.get("mirrored", False)),
    )
    for _ in range(_FOCAL_STEPS):  # distortion changes the field a little
        ratio = camera.fov_x_deg / field_deg
        camera = replace(camera, focal_px=camera.focal_px * ratio)
        if abs(ratio - 1.0) < 1e-9:
            break
    return camera


def _numbers(values: Any, count: int) -> list[float]:
    if not isinstance(values, list) or len(values) != count:
        raise ValueError("not so many numbers")
    numbers = [float(value) for value in values]
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("not finite")
    return numbers
