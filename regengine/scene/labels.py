"""What labelled photos show: the CSV files of docs/labels.md."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from regengine.errors import ConfigError

REQUIRED_COLUMNS = ("path", "label")
SEPARATOR = ";"
# The class of what none of the others explains; every model has it
OTHER = "other"
# The classes of the shipped model, in the order in which tables show them
USUAL_CLASSES = (
    "cities",
    "stars",
    "aurora",
    "inside",
    "day",
    "infrared",
    "night_nocity",
    "sunset_sunrise",
    "moon",
    OTHER,
)


@dataclass(frozen=True, kw_only=True)
class SceneLabel:
    """What a person says that a photo shows.

    Attributes
    ----------
    path : Path
        The photo.
    labels : tuple of str
        What it shows, most important first; at least one.
    group : str
        Photos of one group, such as a sequence or copies of one frame, are alike: they are never
        parted into training and test.
    """

    path: Path
    labels: tuple[str, ...]
    group: str


def in_usual_order(classes: Iterable[str]) -> tuple[str, ...]:
    """Different classes, the usual ones first and in their order, `OTHER` at the end."""
    found = set(classes)
    known = [name for name in USUAL_CLASSES if name in found and name != OTHER]
    return (*known, *sorted(found - set(USUAL_CLASSES)), *((OTHER,) if OTHER in found else ()))


def read_scene_labels(path: Path) -> list[SceneLabel]:
    """Read a table of labelled photos.

    Parameters
    ----------
    path : Path
        CSV with the columns path, label and, if wanted, group; others are ignored. A label may
        hold several, separated by semicolons; the first is what the photo shows above all.

    Returns
    -------
    list of SceneLabel
        In the order of the rows. Relative paths count from the table's folder; a photo without a
        group is a group of its own.

    Raises
    ------
    ConfigError
        If the file cannot be read, lacks a column or has no row, a path or label is empty, or a
        photo is labelled twice.
    """
    found: dict[str, SceneLabel] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream)
            _check_columns(path, table.fieldnames)
            for row in table:
                where = f"{path}, line {table.line_num}"
                photo = (row["path"] or "").strip()
                if photo in found:
                    raise ConfigError(f"{where}: {photo} is labelled a second time; keep one row.")
                found[photo] = _label(where, path.parent, photo, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(
            f"{path} cannot be read as a table of labels ({error}): give a CSV file with the "
            f"columns {', '.join(REQUIRED_COLUMNS)}."
        ) from error
    if not found:
        raise ConfigError(f"{path} labels no photo: add a row per photo, path, label.")
    return list(found.values())


def _check_columns(path: Path, columns: object) -> None:
    present = set(columns) if isinstance(columns, list) else set()
    missing = [name for name in REQUIRED_COLUMNS if name not in present]
    if missing:
        raise ConfigError(
            f"{path} lacks the column {', '.join(missing)}: its first line must name "
            f"{', '.join(REQUIRED_COLUMNS)}."
        )


def _label(where: str, folder: Path, photo: str, row: dict[str, str | None]) -> SceneLabel:
    parts = [part.strip() for part in (row["label"] or "").split(SEPARATOR)]
    labels = tuple(dict.fromkeys(part for part in parts if part))
    if not photo or not labels:
        what = "label" if photo else "path"
        raise ConfigError(f"{where}: the {what} is empty; write one or remove the row.")
    group = (row.get("group") or "").strip()
    return SceneLabel(path=folder / photo, labels=labels, group=group or photo)
