"""The maps and element sets that the package brings, so that nothing is downloaded first.

``data/README.md`` names their sources, licences and how they are made.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from regengine.errors import ConfigError
from regengine.io.checksums import compute_sha256, read_sums

FOLDER = Path(__file__).resolve().parents[1] / "data"
LIGHTS = FOLDER / "black_marble.tif"  # Black Marble 2016, 30 arcsec; with its index
DAY = FOLDER / "blue_marble.tif"  # Blue Marble, 2.4 km
ELEMENT_SETS = FOLDER / "element_sets.npz"  # of the ISS, one a day
MAPS = {"lights": (LIGHTS,), "day": (DAY,), "streets": ()}


@lru_cache
def check_packaged(path: Path) -> Path:
    """Return the path of a file of this folder once its content is verified.

    Raises ConfigError if the file is missing or damaged.
    """
    try:
        intact = compute_sha256(path) == read_sums(FOLDER)[path.name]
    except (OSError, KeyError):
        intact = False
    if not intact:
        raise ConfigError(
            f"{path}, a file of this package, is missing or damaged: install the package again."
        )
    return path
