"""Streaks labelled by boxes or outlines: a text file per photo, as YOLO has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from regengine.batch.discover import find_photos
from regengine.errors import ConfigError
from regengine.evaluate.marked_streaks import FloatArray, LabelledStreaks

PHOTOS, LABELS = "images", "labels"
BOX_NUMBERS = 4
LEAST_CORNERS = 3


def read_yolo_labels(folder: Path) -> list[LabelledStreaks]:
    """Read a folder of photos and text files of the same names.

    Parameters
    ----------
    folder : Path
        With the folders ``images`` and ``labels`` of the same structure, or with text files
        beside the photos. A line is ``class cx cy w h``, an upright box, or ``class x1 y1 x2 y2
        x3 y3 …``, the corners of a slanted box or another outline; all as parts of the picture's
        width and height. A photo without a text file, or with an empty one, shows no streak.
        Every class counts.

    Returns
    -------
    list of LabelledStreaks
        In the order of their paths.

    Raises
    ------
    ConfigError
        If there is no photo or no text file, or a line is none of these.
    """
    photos = folder / PHOTOS if (folder / PHOTOS).is_dir() else folder
    labels = folder / LABELS if (folder / LABELS).is_dir() else photos
    labelled = []
    files = 0
    for path in find_photos([str(photos)]):
        file = (labels / path.relative_to(photos)).with_suffix(".txt")
        files += file.is_file()
        labelled.append(_read_photo(path, file))
    if not files:
        raise ConfigError(
            f"{folder} holds no photo with a text file of its name: give a folder with "
            f"{PHOTOS} and {LABELS} in it, or one with both side by side."
        )
    return labelled


def _read_photo(path: Path, file: Path) -> LabelledStreaks:
    boxes: list[FloatArray] = []
    outlines: list[FloatArray] = []
    for number, line in enumerate(_lines(file), start=1):
        if not line.strip():
            continue
        values = _numbers(f"{file}, line {number}", line)
        if values.size == BOX_NUMBERS:
            boxes.append(values)
        else:
            outlines.append(values.reshape(-1, 2))
    return LabelledStreaks(
        path=path,
        rows=np.zeros((0, 5)),
        peak_snr=np.full(len(boxes) + len(outlines), np.nan),
        ignored=np.zeros(len(boxes) + len(outlines), bool),
        boxes=np.array(boxes).reshape(-1, BOX_NUMBERS),
        outlines=tuple(outlines),
    )


def _lines(file: Path) -> list[str]:
    if not file.is_file():
        return []
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} cannot be read as labels ({error}): give a text file."
        ) from error


def _numbers(place: str, line: str) -> FloatArray:
    """What stands behind the class: a box, or pairs of at least three corners."""
    try:
        values = np.array([float(word) for word in line.split()][1:])
    except ValueError as error:
        raise ConfigError(f"{place}: {error}; write a number.") from error
    outline = values.size >= 2 * LEAST_CORNERS and values.size % 2 == 0
    if values.size != BOX_NUMBERS and not outline:
        raise ConfigError(
            f"{place} has {values.size} numbers behind the class: write four of a box, "
            "or eight of the corners of a slanted one."
        )
    # A little beyond the picture is how boxes at the border come
    if not (np.isfinite(values).all() and (np.abs(values - 0.5) <= 1.0).all()):
        raise ConfigError(
            f"{place}: boxes are given as parts of the picture's width and height, from 0 to 1; "
            "divide pixels by them."
        )
    return values
