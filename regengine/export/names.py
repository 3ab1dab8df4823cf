"""Names of the files that are written for a frame."""

from __future__ import annotations

import re
from collections.abc import Callable

from regengine.page.text import shown

LONGEST_BYTES = 200  # of the photo's own name; endings follow, and a file's name may have 255
_SEPARATORS = re.compile(r"[/\\\0]")
_MARK = re.compile("[0-9a-f]{8}")  # a damaged store may have anything in a hash's place


def photo_name(path: str, number: int) -> str:
    """Name of a photo's file as a new file's name may begin with it.

    Parameters
    ----------
    path : str
        Of the photo: any text, also a web address, or a path of another system.
    number : int
        Of the frame: names those that have no name.

    Returns
    -------
    str
        Leads to no other folder, and holds nothing that cannot be seen. A photo that has an
        ordinary name keeps it.
    """
    path = path.partition("?")[0] if "://" in path else path
    parts = [part for part in _SEPARATORS.split(path) if part]
    name = shown(parts[-1] if parts else "").replace("\\", "_")
    if name in ("", ".", ".."):
        name = f"frame{number}"
    return _cut(name, LONGEST_BYTES)


def photo_stem(path: str, number: int) -> str:
    """`photo_name` without its ending, for files that have none of it."""
    return stem(photo_name(path, number))


def file_names(
    frames: dict[int, str], hashes: dict[int, str], names: Callable[[str], tuple[str, ...]]
) -> dict[int, tuple[str, ...]]:
    """Names of files for frames: no two are the same, also where letters' case does not count.

    Parameters
    ----------
    frames, hashes : dict of int to str
        See `photo_names`.
    names : callable
        Takes a photo's name; names of its files, each with another ending.

    Returns
    -------
    dict of int to tuple of str
        Told apart a kind of file at a time: only what would be the same is called otherwise.
    """
    found: dict[int, tuple[str, ...]] = dict.fromkeys(frames, ())
    for kind in range(len(names("photo"))):

        def file_of(name: str, kind: int = kind) -> str:
            return names(name)[kind]

        for number, name in photo_names(frames, hashes, file_of).items():
            found[number] += (file_of(name),)
    return found


def photo_names(
    frames: dict[int, str], hashes: dict[int, str], file_of: Callable[[str], str] = str
) -> dict[int, str]:
    """Names that differ from each other, also where letters' case does not count.

    Parameters
    ----------
    frames : dict of int to str
        Names of `photo_name` by the frames' numbers.
    hashes : dict of int to str
        SHA-256 of the photos.
    file_of : callable, optional
        Takes a name; the file's name that is to differ.

    Returns
    -------
    dict of int to str
        A name that several photos have gets the start of the photo's SHA-256, before its ending;
        where that is not enough, the frame's number.
    """
    held: dict[str, list[int]] = {}
    for number, name in frames.items():
        held.setdefault(file_of(name).casefold(), []).append(number)
    taken = {name for name, numbers in held.items() if len(numbers) == 1}
    found = dict(frames)
    for numbers in (numbers for numbers in held.values() if len(numbers) > 1):
        for number in numbers:
            mark = hashes[number][:8]
            name = _marked(frames[number], mark)
            if not _MARK.fullmatch(mark) or file_of(name).casefold() in taken:
                name = _marked(frames[number], str(number))
            while file_of(name).casefold() in taken:
                name = _marked(name, str(number))
            taken.add(file_of(name).casefold())
            found[number] = name
    return found


def stem(name: str) -> str:
    """A photo's name without its ending."""
    start, dot, _ = name.rpartition(".")
    return start if dot and start else name


def _marked(name: str, mark: str) -> str:
    start = stem(name)
    return f"{start}-{mark}{name[len(start) :]}"


def _cut(name: str, most: int) -> str:
    if len(name.encode()) <= most:
        return name
    return name.encode()[:most].decode("utf-8", "ignore")
