"""GeoPackage: the layers footprints, nadirs and points, for QGIS and others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from regengine.exchange.export.format import ExportOptions, FileFormat
from regengine.exchange.export.formats.vector import GeoPackage, chosen_layers, features
from regengine.exchange.export.frame import ExportFrame


def _write(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    layers = chosen_layers(options.layers)
    with closing(GeoPackage(path)) as package:
        for layer in layers:
            package.add_layer(layer)
        for frame in frames:
            for layer, feature in features(frame, layers):
                package.add(layer, feature)
        package.finish()


FORMAT = FileFormat(
    summary="footprints, nadirs and control points as a GeoPackage",
    endings=(".gpkg",),
    write=_write,
)
