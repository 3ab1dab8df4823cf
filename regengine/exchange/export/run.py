"""Export frames of a store to files of a format, atomically and without unrequested overwriting."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regengine.errors import ConfigError, StoreError
from regengine.exchange.export.carried import find_contradiction
from regengine.exchange.export.format import (
    ExportOptions,
    FileFormat,
    FolderFormat,
    LeftOutError,
    file_names,
)
from regengine.exchange.export.formats import find_format
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.selection import Chosen
from regengine.io.atomic import check_new_file, replace_files, sync_folder
from regengine.store.file import photo_file


def check_free(paths: list[Path]) -> None:
    """Refuse to overwrite existing files, before anything is written."""
    taken = [path for path in paths if os.path.lexists(path)]
    if taken:
        more = f" and {len(taken) - 1:,} more" if len(taken) > 1 else ""
        own = any(path.suffix == ".points" for path in taken)
        lost = ": points of yours in them are lost, unless regengine import keeps them first"
        raise ConfigError(
            f"{taken[0]}{more} exist: nothing was written. Name another folder with --out, or "
            f"replace them with --force{lost if own else ''}."
        )


def guard_photo(frame: ExportFrame, paths: tuple[Path, ...]) -> None:
    """Never overwrite a photo, whatever its name, even with ``force``."""
    photo = frame.photo
    for path in paths:
        if photo is not None and path.exists() and path.samefile(photo):
            raise LeftOutError(f"{path} is the photo itself, which is never overwritten")


def take_away(last: Path, chosen: Chosen) -> None:
    """Remove the file that lists all others, before the first of these is replaced.

    Its presence means that a folder is complete: it must not exist while only some of the files are
    replaced. ConfigError if it is one of the photos, StoreError if it cannot be removed.
    """
    if not os.path.lexists(last):
        return
    for _, path, sha256 in chosen.photos():
        photo = photo_file(path, chosen.store, sha256, chosen.folder)
        if photo is not None and last.exists() and last.samefile(photo):
            raise ConfigError(
                f"{last} is one of the photos, which are never overwritten: name another folder."
            )
    try:
        last.unlink()
        sync_folder(last.parent)
    except OSError as error:
        raise StoreError(
            f"{last} cannot be replaced ({error.strerror}): name another folder."
        ) from error


@dataclass(frozen=True, kw_only=True)
class Exported:
    """Result of an export: counts of frames and files.

    ``reviewed`` frames have the camera and points that a person accepted. ``left_out`` counts the
    frames that are not in the files, by reason. ``failed`` gives, by path, the reason why a
    requested frame could not be written; ``remarks`` are notes on written frames.
    """

    frames: int
    reviewed: int
    files: int
    left_out: Counter[str]
    failed: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)


def check_out(out: Path, name: str, force: bool) -> None:
    """Check before the store is read that the output can be written.

    ``out`` is the file, or the folder for formats that write files for each frame. ConfigError if
    it cannot be written, or exists and ``force`` is not set.
    """
    kind = find_format(name)
    if isinstance(kind, FileFormat):
        if out.suffix.lower() not in kind.endings:
            endings = " or ".join(kind.endings)
            raise ConfigError(f"--out {out}: the name of this format's file must end in {endings}.")
        check_new_file(out, kind.endings, force=force)
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
    """Write the chosen frames in the named format.

    The folder (see `check_out`) is created if necessary; ``advance`` is called after each frame.
    ConfigError if a file exists and must not be replaced, or an option is not valid; StoreError if
    the store cannot be read or the output cannot be written.
    """
    kind = find_format(name)
    if isinstance(kind, FolderFormat):
        return _write_folder(kind, chosen, out, options, force, advance)
    count = reviewed = 0

    def counted() -> Iterator[ExportFrame]:
        nonlocal count, reviewed
        for frame in chosen.frames():
            count += 1
            reviewed += frame.accepted_by_person
            yield frame
            advance()

    with replace_files((out,)) as (temporary,):
        kind.write(counted(), temporary, options)
    return Exported(frames=count, reviewed=reviewed, files=1, left_out=chosen.left_out)


def _write_folder(
    kind: FolderFormat,
    chosen: Chosen,
    out: Path,
    options: ExportOptions,
    force: bool,
    advance: Callable[[], object],
) -> Exported:
    """Write files for each chosen frame into a folder, and the file that lists them all."""
    own, hashes = {}, {}
    for number, path, sha256 in chosen.photos():
        own[number], hashes[number] = kind.photo_name(path, number), sha256
    names = file_names(own, hashes, lambda name: kind.names(name, options))
    last = None if kind.last is None else out / kind.last
    if not force:
        of_frames = [out / name for of_frame in names.values() for name in of_frame]
        check_free(of_frames if last is None else [*of_frames, last])
    left_out, failed, remarks = chosen.left_out.copy(), {}, {}
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
                against = ""
                if kind.places_photo:
                    against = find_contradiction(frame, out / own[frame.stored.frame_index])
                if against and not force:
                    raise LeftOutError(
                        f"{against}: move that file away, or replace it with --force"
                    )
                if last is not None and not frames:
                    take_away(last, chosen)
                with replace_files(paths, sync=last is None) as temporary:
                    said = kind.write(frame, temporary, paths, options)
            except LeftOutError as error:
                failed[frame.result.path] = str(error)
            else:
                frames, files = frames + 1, files + len(paths)
                reviewed += frame.accepted_by_person
                known = [said] if isinstance(said, str) else []
                if against:
                    known.append(f"{against}; it is now replaced or contradicted")
                if known:
                    remarks[frame.result.path] = "; ".join(known)
                yield said
            advance()

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{out} cannot be created ({error.strerror}): choose another folder."
        ) from error
    if last is None or kind.write_last is None:
        for _ in written():
            pass
    else:
        with replace_files((last,)) as (temporary,):
            kind.write_last(written(), temporary, out)
        files += 1
    return Exported(
        frames=frames,
        reviewed=reviewed,
        files=files,
        left_out=left_out,
        failed=failed,
        remarks=remarks,
    )
