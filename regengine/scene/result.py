"""What is said of one photo's scene, and its NDJSON record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regengine.records import printable
from regengine.scene.ephemeris import SceneEphemeris
from regengine.scene.moon import MoonCheck
from regengine.scene.quality import PhotoQuality


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What one photo shows.

    Attributes
    ----------
    frame : str
        What the photo is called.
    path : Path
        Its file.
    category : str
        The class that it shows above all.
    probabilities : mapping of str to float
        Of every class, by picture and ephemeris; they need not sum to one.
    also : tuple of str
        Other classes that it probably shows, too.
    explained : bool
        False where the picture is unlike all that the model was trained on.
    ephemeris : SceneEphemeris or None
        Sun and Moon, where time and place are known.
    moon : MoonCheck or None
        Where the picture may show the Moon, and time and place are known.
    disagreement : str or None
        Code and sentence, where picture and ephemeris contradict each other.
    no_ephemeris : str or None
        Why Sun and Moon are not known.
    quality : PhotoQuality or None
        Where it was asked for.
    features : mapping of str to float or None
        Where they were asked for.
    thumbnail : bytes or None
        JPEG, where it was asked for.
    """

    frame: str
    path: Path
    category: str
    probabilities: Mapping[str, float]
    also: tuple[str, ...]
    explained: bool
    ephemeris: SceneEphemeris | None = None
    moon: MoonCheck | None = None
    disagreement: str | None = None
    no_ephemeris: str | None = None
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
    return json.dumps(scene_record(scene), ensure_ascii=False, allow_nan=False)


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
    line = f"{printable(scene.frame):<24} {scene.category:<15} {p:>5.2f}  {', '.join(others)}"
    return line.rstrip()
