"""A static STAC catalogue: ``ID.stac.json`` for each photo, and ``collection.json`` at the end.

Whatever needs pystac is in `regengine.exchange.export.stac_records`, imported where it is used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regengine.exchange.export.format import ExportOptions, FolderFormat, LastFile, photo_name
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.layers import POINTS, features, geojson_feature
from regengine.io.extras import missing
from regengine.photo.frame_records import frame_id_of

if TYPE_CHECKING:
    import pystac

    from regengine.exchange.export.stac_records import Catalogue

# What items are called: names that are the same in a file system, in an address and in a query.

ENDING = ".stac.json"
POINTS_ENDING = ".points.geojson"
COLLECTION = "collection.json"
LONGEST = 150  # letters; a mark of photos of one name and an ending follow
# RFC 3986 lets these stand in an address as they are, so that programs that take a relative
# address for a path, and those that do not, find the same file
_OTHERS = re.compile(r"[^A-Za-z0-9._-]+")


def item_id(path: str, number: int) -> str:
    """Id of a photo's item, and how the names of its files begin."""
    return _plain(frame_id_of(Path(photo_name(path, number)))) or f"frame{number}"


@lru_cache(maxsize=4)  # one folder, thousands of items
def _catalogue(folder: Path) -> Catalogue:
    """What is made in a folder; its collection is called after it."""
    from regengine.exchange.export.stac_records import Catalogue

    name = _plain(folder.resolve().name) or "photos"
    return Catalogue(folder=folder, id=name, collection=COLLECTION, ending=ENDING)


def _plain(text: str) -> str:
    return _OTHERS.sub("_", text)[:LONGEST].strip("._-")


def stac_text(told: dict[str, Any]) -> str:
    """JSON of an item or a collection; ASCII."""
    return json.dumps(told, allow_nan=False, indent=1) + "\n"


def points_text(frame: ExportFrame) -> str:
    """Control points as GeoJSON, a line each."""
    lines = ",\n".join(
        json.dumps(geojson_feature(*feature), allow_nan=False)
        for feature in features(frame, [POINTS])
    )
    return f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n'


def _need_pystac() -> None:
    try:
        import pystac  # noqa: F401
    except ImportError as error:
        raise missing("--format stac", error, instead="take geojson or parquet") from error


def _names(name: str, options: ExportOptions) -> tuple[str, ...]:
    _need_pystac()
    return f"{name}{ENDING}", f"{name}{POINTS_ENDING}"


def _write(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> pystac.Item:
    from regengine.exchange.export.stac_records import photo_item

    item_path, points_path = targets
    name = item_path.name.removesuffix(ENDING)
    item = photo_item(frame, _catalogue(item_path.parent), name, points_path.name)
    told = item.to_dict(include_self_link=False, transform_hrefs=False)
    paths[0].write_text(stac_text(told), encoding="ascii")
    paths[1].write_text(points_text(frame), encoding="ascii")
    return item


def _write_collection(
    items: Iterator[pystac.Item], path: Path, target: Path, options: ExportOptions
) -> None:
    _need_pystac()
    from regengine.exchange.export.stac_records import collection

    path.write_text(stac_text(collection(items, _catalogue(target.parent))), encoding="ascii")


FORMATS = {
    "stac": FolderFormat(
        names=_names,
        write=_write,
        lacks=lambda frame: "",
        photo_name=item_id,
        last=LastFile(name=COLLECTION, write=_write_collection),
    )
}
