"""Scene results: record, table line, and contact sheet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from regengine.errors import escape_terminal
from regengine.io.html import data_address, link_to, render_page, write_page
from regengine.io.plain import make_printable
from regengine.scene.context import SceneEphemeris
from regengine.scene.quality import PhotoQuality

UNLIKE = "unlike all training photos"
MIN_SHOWN_PROBABILITY = 0.1  # the sheet names other classes from this probability on


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Scene classification of one photo."""

    frame: str
    path: Path
    category: str  # the most probable class
    # Of every class, from picture and ephemeris; they need not sum to one
    probabilities: Mapping[str, float]
    also: tuple[str, ...]  # other probable classes
    explained: bool  # False if the picture is unlike all training photos
    ephemeris: SceneEphemeris | None = None  # Sun and Moon, if time and place are known
    # Code and message if picture and ephemeris contradict each other
    disagreement: str | None = None
    no_ephemeris: str | None = None  # why Sun and Moon are unknown
    # If requested
    quality: PhotoQuality | None = None
    features: Mapping[str, float] | None = None
    thumbnail: bytes | None = None

    def to_dict(self) -> dict[str, Any]:
        """The record of docs/commands/classify.md: plain JSON values, in documented order."""
        record: dict[str, Any] = {
            "frame": make_printable(self.frame),
            "path": make_printable(str(self.path)),
            "category": self.category,
            "probabilities": {name: round(p, 4) for name, p in self.probabilities.items()},
            "also": list(self.also),
            "unlike_training": not self.explained,
            "ephemeris": None if self.ephemeris is None else self.ephemeris.record(),
            "no_ephemeris": self.no_ephemeris and make_printable(self.no_ephemeris),
            "disagreement": self.disagreement,
        }
        if self.quality is not None:
            record |= self.quality.record()
        if self.features is not None:
            record["features"] = {name: round(value, 6) for name, value in self.features.items()}
        return record

    def to_json(self) -> str:
        """The record as one line of NDJSON."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @property
    def flags(self) -> list[str]:
        """Warnings: a contradiction with the clock, or a picture unlike all training photos."""
        clock = [] if self.disagreement is None else [self.disagreement]
        return clock + [UNLIKE] * (not self.explained)


def table_header() -> str:
    """Header of the table."""
    return f"{'frame':<24} {'category':<15} {'p':>5}  also"


def table_line(scene: Scene) -> str:
    """One photo's line of the table."""
    others = [f"{name} {scene.probabilities[name]:.2f}" for name in scene.also]
    others += [flag.split(":")[0] for flag in scene.flags]
    p = scene.probabilities[scene.category]
    line = f"{escape_terminal(scene.frame):<24} {scene.category:<15} {p:>5.2f}  {', '.join(others)}"
    return line.rstrip()


def write_sheet(path: Path, scenes: Iterable[Scene]) -> None:
    """Write the contact sheet atomically, as one HTML page without external resources.

    Raises StoreError if the file cannot be written.
    """
    folder = path.absolute().parent
    frames = [_sheet_entry(scene, folder) for scene in scenes]
    content = files("regengine.scene").joinpath("sheet.html").read_text(encoding="utf-8")
    write_page(path, render_page(content, frames, title="Contact sheet"))


def _sheet_entry(scene: Scene, folder: Path) -> dict[str, object]:
    likeliest = sorted(scene.probabilities.items(), key=lambda pair: -pair[1])
    return {
        "frame": scene.frame,
        "path": str(scene.path),
        "href": link_to(scene.path, folder),
        "category": scene.category,
        "probability": round(scene.probabilities[scene.category], 3),
        "others": [
            (name, round(p, 3))
            for name, p in likeliest
            if name != scene.category and p >= MIN_SHOWN_PROBABILITY
        ],
        "flags": scene.flags,
        "sharpness": None if scene.quality is None else scene.quality.sharpness,
        "thumbnail": data_address(scene.thumbnail or b""),
    }
