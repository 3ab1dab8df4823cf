"""A contact sheet: all photos of a run by class, as one HTML page that needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from regengine.io.html import data_address, link_to, render_page, thumbnail_jpeg, write_page
from regengine.scene.picture import ScenePicture
from regengine.scene.result import Scene

LEAST_SHOWN = 0.1  # other classes are named from this probability on


@dataclass(frozen=True, kw_only=True)
class SheetEntry:
    """One photo on the sheet.

    Attributes
    ----------
    frame : str
        What the photo is called.
    path : Path
        Its file; the sheet links to it.
    category : str
        Its primary class.
    probabilities : mapping of str to float
        Probability of every class.
    thumbnail : bytes
        JPEG.
    flags : tuple of str
        What a person should know, such as that the clock disagrees.
    sharpness : float or None
        0 to 1, where it was measured.
    """

    frame: str
    path: Path
    category: str
    probabilities: Mapping[str, float]
    thumbnail: bytes
    flags: tuple[str, ...] = field(default=())
    sharpness: float | None = None


def thumbnail(picture: ScenePicture) -> bytes:
    """A small JPEG of a picture."""
    return thumbnail_jpeg(picture.rgb)


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
    """Write the contact sheet, whole or not at all.

    Parameters
    ----------
    path : Path
        The HTML file; replaced if it exists.
    entries : iterable of SheetEntry
        The photos.

    Raises
    ------
    StoreError
        The file cannot be written.
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
