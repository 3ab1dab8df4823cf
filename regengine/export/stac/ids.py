"""What items are called: names that are the same in a file system, in an address and in a query."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from regengine.export.names import photo_name
from regengine.frame_id import frame_id_of

ENDING = ".stac.json"
POINTS_ENDING = ".points.geojson"
COLLECTION = "collection.json"
LONGEST = 150  # letters; a mark of photos of one name and an ending follow
# RFC 3986 lets these stand in an address as they are, so that programs that take a relative
# address for a path, and those that do not, find the same file
_OTHERS = re.compile(r"[^A-Za-z0-9._-]+")


def item_id(path: str, number: int) -> str:
    """Id of a photo's item, and how the names of its files begin.

    Parameters
    ----------
    path : str
        Of the photo: any text.
    number : int
        Of the frame: names those of whose name nothing is left.

    Returns
    -------
    str
        The archive's id or the name without its ending; of ASCII letters, digits and ``._-``.
    """
    return _plain(frame_id_of(Path(photo_name(path, number)))) or f"frame{number}"


@lru_cache(maxsize=4)  # one folder, thousands of items
def collection_id(folder: Path) -> str:
    """Id of the collection in a folder: the folder's name."""
    return _plain(folder.resolve().name) or "photos"


def _plain(text: str) -> str:
    return _OTHERS.sub("_", text)[:LONGEST].strip("._-")
