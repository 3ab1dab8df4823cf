"""Photos as they are given to a command: paths, patterns, URLs and lists of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from regengine.batch.discover import find_photos
from regengine.errors import ConfigError
from regengine.io.urls import Url, is_url, scheme_of

LIST_MARK = "@"


def find_given(arguments: Sequence[str], *, exclude: Sequence[Path] = ()) -> list[Path | Url]:
    """Photos that arguments stand for, as given, each once.

    Arguments are what `regengine.batch.discover.find_photos` takes; URLs; and ``@LIST``, a text
    file that names one of these a line. A file that has such a name itself comes first. Files and
    folders of ``exclude`` are never taken. ConfigError if a list cannot be read, nothing is fetched
    by the scheme of a URL, or what fetches it is not installed.
    """
    found: dict[object, Path | Url] = {}
    schemes = set()
    paths: list[str] = []

    def take_paths() -> None:
        for path in find_photos(paths, exclude=exclude):
            found.setdefault(path.absolute(), path)
        paths.clear()

    for argument in _spelled_out(arguments):
        if is_url(argument):
            take_paths()
            scheme = scheme_of(argument)
            if scheme not in schemes:
                from regengine.exchange.remote.fetch import require

                require(argument)
                schemes.add(scheme)
            found.setdefault(argument, Url(argument))
        else:
            paths.append(argument)
    take_paths()
    return list(found.values())


def any_there(photos: Sequence[Path | Url]) -> bool:
    """Whether there is a photo to begin with; URLs are not tried for that."""
    return any(isinstance(photo, Url) or photo.exists() for photo in photos)


def _spelled_out(arguments: Sequence[str]) -> list[str]:
    whole: list[str] = []
    for argument in arguments:
        if argument.startswith(LIST_MARK) and not Path(argument).exists():
            whole += _read_list(Path(argument.removeprefix(LIST_MARK)))
        else:
            whole.append(argument)
    return whole


def _read_list(path: Path) -> list[str]:
    """A path or URL a line; empty lines and ``#`` lines do not count."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read as a list of photos ({type(error).__name__}): it must be a "
            "text file with a path or URL a line."
        ) from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
