"""GeoJSON as RFC 7946 has it: WGS84, polygons counter-clockwise and cut at the antimeridian.

One collection; the property ``layer`` tells what a feature is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regengine.exchange.export.format import ExportOptions, FileFormat
from regengine.exchange.export.formats.vector import Feature, Layer, chosen_layers, features
from regengine.exchange.export.frame import ExportFrame
from regengine.records import printable


def geojson_feature(feature: Feature, layer: Layer) -> dict[str, Any]:
    """A feature as plain JSON values."""
    if feature.place is not None:
        geometry: dict[str, Any] = {"type": "Point", "coordinates": list(feature.place)}
    elif len(feature.polygons) == 1:
        geometry = {"type": "Polygon", "coordinates": [feature.polygons[0]]}
    else:
        geometry = {"type": "MultiPolygon", "coordinates": [[ring] for ring in feature.polygons]}
    # Rows are plain and finite already; names of files may hold what no text can
    properties: dict[str, Any] = {"layer": layer.name}
    for name, value in feature.row.items():
        properties[name] = printable(value) if isinstance(value, str) else value
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _write(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    layers = chosen_layers(options.layers)
    with path.open("w", encoding="ascii") as stream:
        stream.write('{"type": "FeatureCollection", "features": [')
        before = "\n"
        for frame in frames:
            for layer, feature in features(frame, layers):
                value = geojson_feature(feature, layer)
                stream.write(before + json.dumps(value, allow_nan=False))
                before = ",\n"
        stream.write("\n]}\n")


FORMAT = FileFormat(
    summary="footprints, nadirs and control points as GeoJSON",
    endings=(".geojson", ".json"),
    write=_write,
)
