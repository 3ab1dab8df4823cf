"""A static STAC catalogue: ``ID.stac.json`` for each photo, and ``collection.json`` at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from regengine.errors import ConfigError
from regengine.export.format import FolderFormat, LastFile
from regengine.export.formats.geojson import geojson_feature
from regengine.export.frame import ExportFrame
from regengine.export.layers import LAYERS, features
from regengine.export.options import ExportOptions
from regengine.export.stac.ids import COLLECTION, ENDING, POINTS_ENDING, item_id
from regengine.export.stac.text import stac_text

if TYPE_CHECKING:
    import pystac


def points_text(frame: ExportFrame) -> str:
    """Control points as GeoJSON, a line each."""
    lines = ",\n".join(
        json.dumps(geojson_feature(feature, layer), allow_nan=False)
        for layer, feature in features(frame, [LAYERS["points"]])
    )
    return f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n'


def _need_pystac() -> None:
    try:
        import pystac  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "--format stac needs pystac: install regengine[stac], or take geojson or parquet."
        ) from error


def _names(name: str, options: ExportOptions) -> tuple[str, ...]:
    _need_pystac()
    return f"{name}{ENDING}", f"{name}{POINTS_ENDING}"


def _write(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> pystac.Item:
    from regengine.export.stac.item import photo_item

    item_path, points_path = targets
    name = item_path.name.removesuffix(ENDING)
    item = photo_item(frame, item_path.parent, name, points_path.name)
    told = item.to_dict(include_self_link=False, transform_hrefs=False)
    paths[0].write_text(stac_text(told), encoding="ascii")
    paths[1].write_text(points_text(frame), encoding="ascii")
    return item


def _write_collection(
    items: Iterator[pystac.Item], path: Path, target: Path, options: ExportOptions
) -> None:
    _need_pystac()
    from regengine.export.stac.collection import collection

    path.write_text(stac_text(collection(items, target.parent)), encoding="ascii")


FORMAT = FolderFormat(
    summary="a static STAC catalogue, an item a photo",
    names=_names,
    write=_write,
    lacks=lambda frame: "",
    photo_name=item_id,
    last=LastFile(name=COLLECTION, write=_write_collection),
)
