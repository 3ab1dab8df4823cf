"""A contact sheet: all photos of a run by class, as one HTML page that needs no network."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import numpy as np

from regengine.errors import StoreError
from regengine.scene.picture import ScenePicture
from regengine.scene.result import Scene
from regengine.store.atomic import write_whole

THUMBNAIL_PX = 240  # twice the height at which it is shown, for dense screens: some 8 kB each
THUMBNAIL_QUALITY = 78
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
    """A small JPEG of a picture.

    Parameters
    ----------
    picture : ScenePicture
        The photo at the standard size.

    Returns
    -------
    bytes
    """
    import cv2

    height, width = picture.rgb.shape[:2]
    scale = THUMBNAIL_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture.rgb, size, interpolation=cv2.INTER_AREA)
    shown = np.rint(255.0 * np.clip(small[..., ::-1], 0.0, 1.0)).astype(np.uint8)
    coded = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY])[1]
    return bytes(coded)


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
    # "<" could end the script that holds the data, U+2028 a line of it
    data = json.dumps(frames, ensure_ascii=True).replace("<", "\\u003c")
    page = files("regengine.scene").joinpath("sheet.html").read_text(encoding="utf-8")
    try:
        write_whole(path, page.replace("/*FRAMES*/", data).encode())
    except OSError as error:
        raise StoreError(
            f"{path} could not be written ({error.strerror or error}); "
            "name a folder that exists and has room"
        ) from error


def _as_json(entry: SheetEntry, folder: Path) -> dict[str, object]:
    others = sorted(
        (
            (name, round(value, 3))
            for name, value in entry.probabilities.items()
            if name != entry.category and value >= LEAST_SHOWN
        ),
        key=lambda pair: -pair[1],
    )
    coded = base64.b64encode(entry.thumbnail).decode("ascii")
    return {
        "frame": entry.frame,
        "path": str(entry.path).encode("utf-8", "replace").decode(),
        "href": _link(entry.path, folder),
        "category": entry.category,
        "probability": round(entry.probabilities[entry.category], 3),
        "others": others,
        "flags": list(entry.flags),
        "sharpness": entry.sharpness,
        "thumbnail": f"data:image/jpeg;base64,{coded}",
    }


def _link(path: Path, folder: Path) -> str:
    """The photo as seen from the sheet: relative, so that both may move together."""
    try:
        relative = os.path.relpath(path.absolute(), folder)
    except ValueError:  # another drive
        return path.absolute().as_uri()
    return quote(Path(relative).as_posix().encode("utf-8", "surrogateescape"))
