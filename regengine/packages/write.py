"""A package, file by file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from regengine.errors import FrameError
from regengine.export.columns import frame_row, point_rows
from regengine.export.format import FileFormat
from regengine.export.formats.qgis import points_text
from regengine.export.frame import ExportFrame
from regengine.export.known import known_format
from regengine.export.options import ExportOptions
from regengine.packages.calibration import CalibrationFile
from regengine.packages.frames import PHOTOS, PackedFrame
from regengine.packages.readme import readme
from regengine.packages.sinks import README, ChangedError, Sink, package_sink
from regengine.plain_json import plain
from regengine.records import printable

TABLES = {
    "frames.csv": ("csv", ExportOptions(table="frames")),
    "points.csv": ("csv", ExportOptions(table="points")),
    "footprints.geojson": ("geojson", ExportOptions(layers=("footprints",))),
}


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What was packed.

    Attributes
    ----------
    frames : list of str
        Ids of the frames that are in the package.
    failed : dict of str to str
        Photos that were chosen and are not, by their names in it, and why.
    """

    frames: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def write_package(
    out: Path,
    frames: Sequence[PackedFrame],
    calibration: Sequence[CalibrationFile],
    *,
    title: str,
    chosen: str,
    failed: dict[str, str],
    link: bool = False,
    force: bool = False,
    advance: Callable[[], object] = lambda: None,
) -> Packed:
    """Write a package.

    Parameters
    ----------
    out : Path
        A folder, or a file that ends in ``.zip``; see `regengine.packages.sinks.check_package`.
    frames : sequence of PackedFrame
    calibration : sequence of CalibrationFile
    title, chosen : str
        Of the README.
    failed : dict of str to str
        Photos that were chosen and cannot be had, by their names in the package, and why.
    link : bool, optional
        Links to photos instead of copies.
    force : bool, optional
        Replace a package that exists.
    advance : callable, optional
        Called after each photo.

    Returns
    -------
    Packed

    Raises
    ------
    FrameError
        If no frame at all can be packed: nothing is written.
    StoreError
        If it cannot be written.
    """
    failed, there = dict(failed), []
    with package_sink(out, link=link, force=force) as sink:
        for one in frames:
            try:
                sink.add_file(f"{PHOTOS}/{one.name}", one.photo, one.frame.result.sha256)
            except ChangedError as error:
                failed[one.name] = str(error)
            else:
                there.append(one)
            advance()
        if not there:
            why = next(iter(failed.values()), "none was chosen")
            raise FrameError(f"No photo can be packed ({why}): nothing was written.")
        for one in there:
            _add_placed(sink, one)
        _add_tables(sink, [one.frame for one in there])
        for file in calibration:
            sink.add_file(file.name, file.source, file.sha256)
        made = readme(title, chosen, there, calibration, failed, version("regengine"))
        sink.add_text(README, made)
    return Packed(frames=[one.frame.result.frame for one in there], failed=failed)


def _add_placed(sink: Sink, one: PackedFrame) -> None:
    """Where a photo lies: for QGIS, and in full."""
    frame = one.frame
    if frame.points:
        sink.add_text(f"{PHOTOS}/{one.name}.points", points_text(frame))
    told: dict[str, Any] = {
        "frame": frame_row(frame),
        "camera": None if frame.camera is None else {"model": "pinhole", **asdict(frame.camera)},
        "control_points": point_rows(frame),
        "quality": {name: one.row[name] for name in ("quality", "sharpness", "cloud")},
    }
    text = json.dumps(plain(told, printable), indent=2, allow_nan=False)
    sink.add_text(f"cameras/{one.name}.json", text + "\n")


def _add_tables(sink: Sink, frames: Sequence[ExportFrame]) -> None:
    with TemporaryDirectory(prefix="regengine-") as folder:
        for name, (kind, options) in TABLES.items():
            path = Path(folder) / name
            form = known_format(kind)
            assert isinstance(form, FileFormat)
            form.write(_each(frames), path, options)
            sink.add_text(name, path.read_text(encoding="utf-8"))


def _each(frames: Sequence[ExportFrame]) -> Iterator[ExportFrame]:
    yield from frames
