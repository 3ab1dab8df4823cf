"""Find maps, element sets and photos: of the user's data folder, and of the package.

The package brings maps and element sets, so that nothing is downloaded first: ``data/README.md``
names their sources, licences and how they are made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from regengine.errors import ConfigError
from regengine.io.atomic import data_folder, make_folder, write_whole
from regengine.io.checksums import compute_sha256, read_sums
from regengine.maps.lights import KindName
from regengine.photo.notations import archive_name, record_place

FOLDER = Path(__file__).resolve().parents[1] / "data"
LIGHTS = FOLDER / "black_marble.tif"  # Black Marble 2016, 30 arcsec; with its index
DAY = FOLDER / "blue_marble.tif"  # Blue Marble, 610 m at the equator
ELEMENT_SETS = FOLDER / "element_sets.npz"  # of the ISS, one a day
PHOTO = FOLDER / "ISS030-E-82770.jpg"  # Tokyo at night
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


MAP_ENDINGS = (".tif", ".tiff")


def element_set_folder() -> Path:
    return data_folder() / "tle"


def photos_folder() -> Path:
    return data_folder().absolute() / "photos"


def locate_kept_photo(frame_id: str) -> Path:
    return photos_folder() / frame_id.partition("-")[0] / f"{frame_id}.JPG"


def identify_frame_to_fetch(photo: object) -> str | None:
    """Return the archive id of a data folder photo if it or its record must be downloaded."""
    if not isinstance(photo, Path) or photo.parent.parent != photos_folder():
        return None
    there = photo.exists() and record_place(photo).exists()
    return None if there else archive_name(photo.name)


def choose_maps(kind: KindName, given: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Return the maps of a kind: the given ones, or those of the data folder and the package.

    The package's map is left out if one of the data folder covers the Earth. Raises MapError
    if a map of the data folder cannot be used, ConfigError if the package's is damaged.
    """
    if given:
        return tuple(given)
    files = _list_files(data_folder() / kind)
    own = tuple(path for path in files if path.suffix.lower() in MAP_ENDINGS)
    packaged = MAPS[kind]
    if own and packaged:
        from regengine.maps.opening import open_references

        for one in open_references(kind, own):
            west, south, east, north = one.grid.bounds
            if east - west >= 359.0 and south <= -60.0 and north >= 60.0:
                return own
    # That by day is checked where it is read first: most photos are not by day
    return own + tuple(one if kind == "day" else check_packaged(one) for one in packaged)


def choose_element_sets(given: Path | None = None) -> tuple[Path, ...]:
    """Return the given element sets, or those of the data folder and the package.

    Raises ConfigError if the package's are damaged.
    """
    if given is not None:
        return (given,)
    folder = element_set_folder()
    own = (folder,) if _list_files(folder) else ()
    return (*own, check_packaged(ELEMENT_SETS))


def keep_element_sets(content: bytes, name: str) -> Path:
    """Save the text of an element set file in the data folder, under an unused name.

    Raises StoreError if the file cannot be written.
    """
    path = make_folder(element_set_folder()) / name
    if path.exists() and path.read_bytes() != content:
        path = path.with_stem(f"{path.stem}-{hashlib.sha256(content).hexdigest()[:8]}")
    write_whole(path, content)
    return path


def _list_files(folder: Path) -> list[Path]:
    """Return the files of a folder except hidden ones; empty if the folder does not exist."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
