"""What is there already: not replaced unless it is asked for, and a photo never."""

from __future__ import annotations

import os
from pathlib import Path

from regengine.errors import ConfigError, StoreError
from regengine.export.choice import Chosen
from regengine.export.format import FileFormat, LeftOutError
from regengine.export.frame import ExportFrame
from regengine.report.photos import photo_file
from regengine.store.atomic import sync_folder


def check_file(out: Path, kind: FileFormat, force: bool) -> None:
    """See to it, before the store is read, that a file can be written."""
    if out.suffix.lower() not in kind.endings:
        raise ConfigError(
            f"--out {out}: the name of this format's file ends in {' or '.join(kind.endings)}."
        )
    folder = out.absolute().parent
    if out.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(
            f"--out {out} cannot be written: name a file in a folder that exists and that you may "
            "write to."
        )
    if os.path.lexists(out) and not force:
        raise ConfigError(f"--out {out} exists: name another file, or replace it with --force.")


def check_free(paths: list[Path]) -> None:
    """Refuse, before anything is written, to replace what exists."""
    taken = [path for path in paths if os.path.lexists(path)]
    if taken:
        more = f" and {len(taken) - 1:,} more" if len(taken) > 1 else ""
        raise ConfigError(
            f"{taken[0]}{more} exist already: nothing was written. Name another folder, or replace "
            "them with --force."
        )


def guard_photo(frame: ExportFrame, paths: tuple[Path, ...]) -> None:
    """Never write over a photo, whatever its name and whatever is forced."""
    photo = photo_file(frame.result.path, frame.store)
    for path in paths:
        if photo is not None and path.exists() and path.samefile(photo):
            raise LeftOutError(f"{path} is the photo itself, which is never written to")


def take_away(last: Path, chosen: Chosen) -> None:
    """Remove the file that tells of all others, before the first of these is replaced.

    Where it is, a folder is whole: it must not stand beside files of which some are replaced.

    Parameters
    ----------
    last : Path
        The file, which may be there or not.
    chosen : Chosen
        What is about to be written.

    Raises
    ------
    ConfigError
        If it is one of the photos.
    StoreError
        If it cannot be removed.
    """
    if not os.path.lexists(last):
        return
    for _, path, _ in chosen.photos():
        photo = photo_file(path, chosen.store)
        if photo is not None and last.exists() and last.samefile(photo):
            raise ConfigError(
                f"{last} is one of the photos, which are never written to: name another folder."
            )
    try:
        last.unlink()
        sync_folder(last.parent)
    except OSError as error:
        raise StoreError(
            f"{last} cannot be replaced ({error.strerror}): name another folder."
        ) from error
