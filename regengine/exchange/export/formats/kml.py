"""KML 2.2 for Google Earth: a folder a layer, typed fields, times, colours by verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import IO, Any

from regengine.exchange.export.columns import Row
from regengine.exchange.export.format import ExportOptions, FileFormat
from regengine.exchange.export.formats.gcp import UNHOLDABLE
from regengine.exchange.export.formats.vector import Feature, Layer, chosen_layers, features
from regengine.exchange.export.frame import ExportFrame

TYPES = {"text": "string", "real": "double", "whole": "int", "flag": "bool"}
# Opacity, blue, green, red
COLOURS = {
    "accepted": "ff5aff5a",
    "review": "ff3cc8ff",
    "no_match": "ffbebebe",
    "failed": "ff5a5aff",
}
BLOCK = 1 << 20


def xml_text(value: Any) -> str:
    """A value as text in XML; what XML cannot hold in any spelling becomes ``_``."""
    if isinstance(value, bool):
        return "1" if value else "0"
    return escape(UNHOLDABLE.sub("_", str(value))).replace("\r", "&#13;")


def placemark(feature: Feature, layer: Layer) -> str:
    """A feature as an element ``Placemark``."""
    row = feature.row
    name = row["frame"] if layer.name != "points" else f"{row['frame']} {row['point'] + 1}"
    lines = ["<Placemark>", f"<name>{xml_text(name)}</name>"]
    if row["time_utc"]:
        lines.append(f"<TimeStamp><when>{xml_text(row['time_utc'])}</when></TimeStamp>")
    lines.append(f"<styleUrl>#{xml_text(row['verdict'])}</styleUrl>")
    lines += [_fields(row, layer), _geometry(feature), "</Placemark>\n"]
    return "\n".join(lines)


def _fields(row: Row, layer: Layer) -> str:
    told = [
        f'<SimpleData name="{column.name}">{xml_text(row[column.name])}</SimpleData>'
        for column in layer.columns
        if row[column.name] is not None
    ]
    data = "\n".join(told)
    return (
        f'<ExtendedData><SchemaData schemaUrl="#{layer.name}_fields">\n{data}\n'
        "</SchemaData></ExtendedData>"
    )


def _geometry(feature: Feature) -> str:
    if feature.place is not None:
        lon, lat = feature.place
        return f"<Point><coordinates>{lon!r},{lat!r}</coordinates></Point>"
    polygons = []
    for ring in feature.polygons:
        places = " ".join(f"{lon!r},{lat!r}" for lon, lat in ring)
        polygons.append(
            "<Polygon><tessellate>1</tessellate><outerBoundaryIs><LinearRing><coordinates>"
            f"{places}</coordinates></LinearRing></outerBoundaryIs></Polygon>"
        )
    return (
        polygons[0] if len(polygons) == 1 else f"<MultiGeometry>{''.join(polygons)}</MultiGeometry>"
    )


def _head(layers: list[Layer]) -> str:
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<kml xmlns="http://www.opengis.net/kml/2.2">',
    ]
    lines += ["<Document>", "<name>regengine</name>"]
    for verdict, colour in COLOURS.items():
        lines.append(
            f'<Style id="{verdict}"><IconStyle><color>{colour}</color></IconStyle><LineStyle>'
            f"<color>{colour}</color><width>2</width></LineStyle><PolyStyle>"
            f"<color>30{colour[2:]}</color></PolyStyle></Style>"
        )
    for layer in layers:
        fields = "".join(
            f'<SimpleField type="{TYPES[column.kind]}" name="{column.name}"></SimpleField>'
            for column in layer.columns
        )
        lines.append(f'<Schema name="{layer.name}" id="{layer.name}_fields">{fields}</Schema>')
    return "\n".join([*lines, ""])


def _write(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    layers = chosen_layers(options.layers)
    with ExitStack() as stack, path.open("w", encoding="utf-8", newline="\n") as out:
        # A folder a layer, and frames come one by one: each layer waits in a file of its own
        parts: dict[str, IO[str]] = {
            layer.name: stack.enter_context(
                tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=path.parent)
            )
            for layer in layers
        }
        for frame in frames:
            for layer, feature in features(frame, layers):
                parts[layer.name].write(placemark(feature, layer))
        out.write(_head(layers))
        for name, part in parts.items():
            out.write(f"<Folder><name>{name}</name>\n")
            part.seek(0)
            while block := part.read(BLOCK):
                out.write(block)
            out.write("</Folder>\n")
        out.write("</Document>\n</kml>\n")


FORMAT = FileFormat(
    summary="footprints, nadirs and control points for Google Earth",
    endings=(".kml",),
    write=_write,
)
