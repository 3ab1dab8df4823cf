"""A static STAC catalogue: ``ID.stac.json`` for each photo, and ``collection.json`` at the end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pystac

from regengine.errors import ConfigError
from regengine.exchange.export.format import ExportOptions, FolderFormat, LastFile
from regengine.exchange.export.formats.geojson import geojson_feature
from regengine.exchange.export.formats.stac_item import (
    COLLECTION,
    ENDING,
    MAPS,
    POINTS_ENDING,
    PREFIX,
    Span,
    archive_provider,
    around,
    collection_id,
    item_id,
    license_link,
    stac_text,
    united,
)
from regengine.exchange.export.formats.vector import LAYERS, features
from regengine.exchange.export.frame import ExportFrame


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
    from regengine.exchange.export.formats.stac_item import photo_item

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

    path.write_text(stac_text(collection(items, target.parent)), encoding="ascii")


FORMAT = FolderFormat(
    summary="a static STAC catalogue, an item a photo",
    names=_names,
    write=_write,
    lacks=lambda frame: "",
    photo_name=item_id,
    last=LastFile(name=COLLECTION, write=_write_collection),
)


# The collection that tells of all items: where and when they are, and what they are like.

DESCRIPTION = (
    "Photographs taken at night from the International Space Station, placed on the map by their "
    "city lights with regengine. An item's geometry is the ground that its photo shows, up to 80 "
    "degrees of incidence; items without one are photos without a place."
)
RANGES = (
    "gsd",
    "view:off_nadir",
    "view:incidence_angle",
    "view:sun_elevation",
    f"{PREFIX}probability",
    f"{PREFIX}sigma_m",
)
SETS = ("platform", "instruments", f"{PREFIX}verdict", f"{PREFIX}category")
MOST_OF_A_SET = 100
MOST_SPANS = 4096  # that are kept apart


@dataclass
class Gathered:
    """What is kept of items that have passed by."""

    links: list[tuple[str, str]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    lats: list[float] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    ranges: dict[str, list[float]] = field(default_factory=dict)
    sets: dict[str, set[str]] = field(default_factory=dict)
    assets: set[str] = field(default_factory=set)
    of_archive: bool = False

    def add(self, item: pystac.Item) -> None:
        """Keep what the collection says of an item."""
        told = item.properties
        self.links.append((f"./{item.id}{ENDING}", told["title"]))
        if item.bbox is not None:
            west, south, east, north = item.bbox
            self.spans.append((west, east))
            if len(self.spans) > MOST_SPANS:
                self.spans = united(self.spans)
            self.lats = _ends([*self.lats, south, north])
        start, end = item.common_metadata.start_datetime, item.common_metadata.end_datetime
        moments = [item.datetime, start, end]
        self.times = _ends([*self.times, *(time for time in moments if time is not None)])
        for name in RANGES:
            if name in told:
                self.ranges[name] = _ends([*self.ranges.get(name, []), told[name]])
        for name in SETS:
            if name in told:
                values = told[name] if isinstance(told[name], list) else [told[name]]
                self.sets.setdefault(name, set()).update(values)
        self.assets.update(item.assets)
        self.of_archive |= f"{PREFIX}credit" in told


def _ends(values: list[Any]) -> list[Any]:
    return [min(values), max(values)] if values else []


def collection(items: Iterable[pystac.Item], folder: Path) -> dict[str, Any]:
    """The collection of a folder's items, as plain JSON values."""
    gathered = Gathered()
    for item in items:
        gathered.add(item)
    found = pystac.Collection(
        id=collection_id(folder),
        title=f"Night photographs from the ISS: {collection_id(folder)}",
        description=DESCRIPTION,
        extent=_extent(gathered),
        license="other",
        keywords=["night lights", "astronaut photography", "ISS"],
        providers=[archive_provider()] if gathered.of_archive else None,
        summaries=_summaries(gathered),
    )
    found.item_assets = {**_item_assets(gathered)}
    if gathered.of_archive:
        found.add_link(license_link())
    told = found.to_dict(include_self_link=False, transform_hrefs=False)
    root = {"rel": "root", "href": f"./{COLLECTION}", "type": pystac.MediaType.JSON}
    told["links"] = [
        root,
        *(link for link in told["links"] if link["rel"] != "root"),
        *(
            {"rel": "item", "href": href, "type": pystac.MediaType.GEOJSON, "title": title}
            for href, title in gathered.links
        ),
    ]
    return told


def _extent(gathered: Gathered) -> pystac.Extent:
    """The Earth, and any time, where there are no items."""
    bbox = [-180.0, -90.0, 180.0, 90.0]
    if gathered.spans:
        west, east = around(gathered.spans)
        bbox = [west, gathered.lats[0], east, gathered.lats[1]]
    times: list[datetime | None] = [*gathered.times] or [None, None]
    return pystac.Extent(pystac.SpatialExtent([bbox]), pystac.TemporalExtent([times]))


def _summaries(gathered: Gathered) -> pystac.Summaries:
    summaries = pystac.Summaries.empty()
    for name, (least, most) in gathered.ranges.items():
        summaries.add(name, pystac.RangeSummary(least, most))
    for name, values in gathered.sets.items():
        if len(values) <= MOST_OF_A_SET:
            summaries.add(name, sorted(values))
    return summaries


def _item_assets(gathered: Gathered) -> dict[str, pystac.ItemAssetDefinition]:
    """What kinds of files items have."""
    known: dict[str, tuple[str, str | None, str]] = {
        "photo": ("The photo as it was taken", None, "data"),
        "control_points": ("Control points", pystac.MediaType.GEOJSON, "metadata"),
        **{key: (title, pystac.MediaType.COG, role) for key, _, role, title in MAPS},
    }
    return {
        key: pystac.ItemAssetDefinition.create(title, None, media_type, [role])
        for key, (title, media_type, role) in known.items()
        if key in gathered.assets
    }
