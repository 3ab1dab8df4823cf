"""What is said of a photo's scene: its record, its line, its place on a contact sheet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from regengine.errors import shown
from regengine.io.html import data_address, link_to, render_page, write_page
from regengine.io.plain import printable
from regengine.scene.ephemeris import SceneEphemeris
from regengine.scene.moon import MoonCheck
from regengine.scene.quality import PhotoQuality

LEAST_SHOWN = 0.1  # on the sheet other classes are named from this probability on


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What one photo shows."""

    frame: str
    path: Path
    category: str  # the class that it shows above all
    # Of every class, by picture and ephemeris; they need not sum to one
    probabilities: Mapping[str, float]
    also: tuple[str, ...]  # other classes that it probably shows, too
    explained: bool  # false where the picture is unlike all that the model was trained on
    ephemeris: SceneEphemeris | None = None  # Sun and Moon, where time and place are known
    # Where the picture may show the Moon, and time and place are known
    moon: MoonCheck | None = None
    # Code and sentence, where picture and ephemeris contradict each other
    disagreement: str | None = None
    no_ephemeris: str | None = None  # why Sun and Moon are not known
    # Where they were asked for
    quality: PhotoQuality | None = None
    features: Mapping[str, float] | None = None
    thumbnail: bytes | None = None

    def to_dict(self) -> dict[str, Any]:
        """The record of `docs/records.md`."""
        return scene_record(self)


def scene_record(scene: Scene) -> dict[str, Any]:
    """The record of one photo, of plain JSON values; keys in the documented order."""
    quality = scene.quality
    record: dict[str, Any] = {
        "frame": printable(scene.frame),
        "path": printable(str(scene.path)),
        "category": scene.category,
        "probabilities": {name: round(p, 4) for name, p in scene.probabilities.items()},
        "also": list(scene.also),
        "unlike_training": not scene.explained,
        "ephemeris": None if scene.ephemeris is None else scene.ephemeris.record(),
        "no_ephemeris": scene.no_ephemeris and printable(scene.no_ephemeris),
        "disagreement": scene.disagreement,
    }
    if scene.moon is not None and record["ephemeris"] is not None:
        record["ephemeris"]["moon"] = scene.moon.record()
    if quality is not None:
        record.update(quality.record())
    if scene.features is not None:
        record["features"] = {name: round(value, 6) for name, value in scene.features.items()}
    return record


def scene_line(scene: Scene) -> str:
    """The record as one line of NDJSON."""
    return json.dumps(scene_record(scene), allow_nan=False)


def table_header() -> str:
    """First line of the table that people read."""
    return f"{'frame':<24} {'category':<15} {'p':>5}  also"


def table_line(scene: Scene) -> str:
    """One photo in that table."""
    others = [f"{name} {scene.probabilities[name]:.2f}" for name in scene.also]
    if scene.disagreement is not None:
        others.append(scene.disagreement.split(":")[0])
    if not scene.explained:
        others.append("unlike all training photos")
    p = scene.probabilities[scene.category]
    line = f"{shown(scene.frame):<24} {scene.category:<15} {p:>5.2f}  {', '.join(others)}"
    return line.rstrip()


@dataclass(frozen=True, kw_only=True)
class SheetEntry:
    """One photo on a contact sheet, under its category.

    `flags` are what a person should know, such as that the clock disagrees; `sharpness` is 0 to 1,
    where it was measured.
    """

    frame: str
    path: Path
    category: str
    probabilities: Mapping[str, float]
    thumbnail: bytes
    flags: tuple[str, ...] = field(default=())
    sharpness: float | None = None


def entry_of(scene: Scene) -> SheetEntry:
    """A classified photo as the sheet shows it."""
    flags = [] if scene.disagreement is None else [scene.disagreement]
    if not scene.explained:
        flags.append("unlike all training photos")
    return SheetEntry(
        frame=scene.frame,
        path=scene.path,
        category=scene.category,
        probabilities=scene.probabilities,
        thumbnail=scene.thumbnail or b"",
        flags=tuple(flags),
        sharpness=None if scene.quality is None else scene.quality.blur.sharpness,
    )


def write_sheet(path: Path, entries: Iterable[SheetEntry]) -> None:
    """Write the contact sheet, one HTML page that needs no network, whole or not at all.

    Raises StoreError: the file cannot be written.
    """
    folder = path.absolute().parent
    frames = [_as_json(entry, folder) for entry in entries]
    content = files("regengine.scene").joinpath("sheet.html").read_text(encoding="utf-8")
    write_page(path, render_page(content, frames, title="Contact sheet"))


def _as_json(entry: SheetEntry, folder: Path) -> dict[str, object]:
    others = sorted(
        (
            (name, round(value, 3))
            for name, value in entry.probabilities.items()
            if name != entry.category and value >= LEAST_SHOWN
        ),
        key=lambda pair: -pair[1],
    )
    return {
        "frame": entry.frame,
        "path": str(entry.path),
        "href": link_to(entry.path, folder),
        "category": entry.category,
        "probability": round(entry.probabilities[entry.category], 3),
        "others": others,
        "flags": list(entry.flags),
        "sharpness": entry.sharpness,
        "thumbnail": data_address(entry.thumbnail),
    }
