"""From a store to files of a format: nothing half written, nothing replaced unasked."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from regengine.errors import ConfigError, StoreError
from regengine.export.choice import Chosen
from regengine.export.existing import check_file, check_free, guard_photo, take_away
from regengine.export.format import FileFormat, FolderFormat, LeftOutError
from regengine.export.frame import ExportFrame
from regengine.export.known import known_format
from regengine.export.names import file_names
from regengine.export.options import ExportOptions
from regengine.store.atomic import sync_folder

_NUMBERS = count()  # of new files, so that two of one folder can be written at a time


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Attributes
    ----------
    frames : int
        Frames that are in the files.
    reviewed : int
        Those of them with the camera and points that a person accepted.
    files : int
        Files that were written.
    left_out : Counter
        How many frames are not, by why.
    failed : dict of str to str
        Frames that should be but cannot, by path, and why.
    """

    frames: int
    reviewed: int
    files: int
    left_out: Counter[str]
    failed: dict[str, str] = field(default_factory=dict)


def check_out(out: Path, name: str, force: bool) -> None:
    """See to it, before the store is read, that the output can be what it is to be.

    Parameters
    ----------
    out : Path
        The file, or the folder for formats that write files for each frame.
    name : str
        Of the format.
    force : bool
        Whether a file that exists is to be replaced.

    Raises
    ------
    ConfigError
        If not.
    """
    kind = known_format(name)
    if isinstance(kind, FileFormat):
        check_file(out, kind, force)
    elif out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file: --format {name} writes files into a folder.")


def write_chosen(
    chosen: Chosen,
    name: str,
    out: Path,
    options: ExportOptions,
    *,
    force: bool = False,
    advance: Callable[[], object] = lambda: None,
) -> Exported:
    """Write chosen frames in a format.

    Parameters
    ----------
    chosen : Chosen
        The frames.
    name : str
        Of the format.
    out : Path
        See `check_out`; a folder is made if need be.
    options : ExportOptions
        What of the frames.
    force : bool, optional
        Replace files that exist.
    advance : callable, optional
        Called after each frame.

    Returns
    -------
    Exported

    Raises
    ------
    ConfigError
        If a file exists and is not to be replaced, or an option makes no sense.
    StoreError
        If the store cannot be read or the output not be written.
    """
    kind = known_format(name)
    if isinstance(kind, FileFormat):
        return write_file(kind, out, chosen, options, advance)
    return write_folder(kind, out, chosen, options, force, advance)


def write_file(
    kind: FileFormat,
    out: Path,
    chosen: Chosen,
    options: ExportOptions,
    advance: Callable[[], object],
) -> Exported:
    """Write all chosen frames into one file."""
    count = reviewed = 0

    def counted() -> Iterator[ExportFrame]:
        nonlocal count, reviewed
        for frame in chosen.frames():
            count += 1
            reviewed += frame.accepted_by_person
            yield frame
            advance()

    with in_place_of((out,)) as (temporary,):
        kind.write(counted(), temporary, options)
    return Exported(frames=count, reviewed=reviewed, files=1, left_out=chosen.left_out)


def write_folder(
    kind: FolderFormat,
    out: Path,
    chosen: Chosen,
    options: ExportOptions,
    force: bool,
    advance: Callable[[], object],
) -> Exported:
    """Write files for each chosen frame into a folder, and the file that tells of them all."""
    own, hashes = {}, {}
    for number, path, sha256 in chosen.photos():
        own[number], hashes[number] = kind.photo_name(path, number), sha256
    names = file_names(own, hashes, lambda name: kind.names(name, options))
    last = None if kind.last is None else out / kind.last.name
    if not force:
        of_frames = [out / name for of_frame in names.values() for name in of_frame]
        check_free(of_frames if last is None else [*of_frames, last])
    left_out, failed = chosen.left_out.copy(), {}
    frames = reviewed = files = 0

    def written() -> Iterator[Any]:
        nonlocal frames, reviewed, files
        for frame in chosen.frames():
            lacks = kind.lacks(frame)
            if lacks:
                left_out[lacks] += 1
                advance()
                continue
            paths = tuple(out / name for name in names[frame.stored.frame_index])
            try:
                guard_photo(frame, paths)
                if last is not None and not frames:
                    take_away(last, chosen)
                with in_place_of(paths, sync=last is None) as temporary:
                    said = kind.write(frame, temporary, paths, options)
            except LeftOutError as error:
                failed[frame.result.path] = str(error)
            else:
                frames, files = frames + 1, files + len(paths)
                reviewed += frame.accepted_by_person
                yield said
            advance()

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{out} cannot be made ({error.strerror}): name another.") from error
    if kind.last is None or last is None:
        for _ in written():
            pass
    else:
        with in_place_of((last,)) as (temporary,):
            kind.last.write(written(), temporary, last, options)
            os.sync()  # before it is there: one call, where one for each file takes minutes
        files += 1
    return Exported(frames=frames, reviewed=reviewed, files=files, left_out=left_out, failed=failed)


@contextmanager
def in_place_of(paths: tuple[Path, ...], *, sync: bool = True) -> Iterator[tuple[Path, ...]]:
    """New files that take the place of others at the end of the block, or vanish.

    Parameters
    ----------
    paths : tuple of Path
        What is to be replaced, or new.
    sync : bool, optional
        Whether they are on the disk before this ends. Without it they are whole whatever becomes
        of the program, but not if the power fails.

    Yields
    ------
    tuple of Path
        In the same folders, with the same endings.

    Raises
    ------
    StoreError
        If a file cannot be written.
    """
    temporary = tuple(
        path.with_name(f".{os.getpid()}.{next(_NUMBERS)}.{_ending(path)}") for path in paths
    )
    try:
        yield temporary
        for new in temporary if sync else ():
            with new.open("rb+") as stream:
                os.fsync(stream.fileno())
        for new, path in zip(temporary, paths, strict=True):
            new.replace(path)
        for folder in {path.parent for path in paths} if sync else ():
            sync_folder(folder)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"{paths[0]} could not be written ({error.strerror or error}): name a place that "
            "exists and has room."
        ) from error
    finally:
        for new in temporary:
            with suppress(OSError):
                new.unlink()


def _ending(path: Path) -> str:
    return f"tmp{path.suffix}"
