"""An uncompressed DNG whose sensor values are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

WHITE = 16383  # 14 bits


def write_dng(path: Path, sensor: NDArray[np.uint16], *, orientation: int = 1) -> Path:
    """Red-green/green-blue mosaic with neutral white balance and a unit colour matrix."""
    unit = [10000 if i == j else 0 for i in range(3) for j in range(3)]
    matrix = tuple(value for number in unit for value in (number, 10000))
    tags = [
        (271, "s", 0, "NIKON CORPORATION", True),
        (272, "s", 0, "NIKON D3S", True),
        (274, "H", 1, orientation, True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, (0, 1, 1, 2), True),
        (50706, "B", 4, (1, 4, 0, 0), True),
        (50708, "s", 0, "NIKON D3S", True),
        (50714, "H", 1, 0, True),
        (50717, "I", 1, WHITE, True),
        (50721, "2i", 9, matrix, True),
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),
        (50778, "H", 1, 21, True),
    ]
    tifffile.imwrite(path, sensor, photometric=32803, extratags=tags, metadata=None)
    return path
