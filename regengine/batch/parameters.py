"""The settings that a result depends on, as text, and the hash that tells whether they changed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from regengine.batch.sharing import STRETCH
from regengine.errors import ConfigError
from regengine.io.checksums import fingerprint

if TYPE_CHECKING:
    from regengine.pipeline import RunInputs


def parameters_of(inputs: RunInputs) -> tuple[str, str]:
    """Text and hash of all that results of a run depend on, the photo excepted.

    Parameters
    ----------
    inputs : RunInputs
        What the run was given.

    Returns
    -------
    parameters : str
        A JSON object, keys sorted. Files appear by name and fingerprint, so that moving them
        changes nothing.
    sha256 : str
        Hash of that text, hexadecimal.
    """
    register = asdict(inputs.register)
    del register["clock"]  # how time is told changes no result
    frame = asdict(inputs.frame)
    if not inputs.frame.lenses:
        del frame["lenses"]  # stores of before profiles stay good
    settings: dict[str, object] = {
        "engine_version": version("regengine"),
        "lights": [_file(path) for path in inputs.lights],
        "tle": None if inputs.tle is None else _file(inputs.tle),
        "metadata": None if inputs.metadata is None else _file(inputs.metadata),
        "frame": frame,
        "register": register,
        "share": inputs.share,
        "stars": inputs.stars,
    }
    if inputs.blind is not None:
        settings["blind"] = {**asdict(inputs.blind), "index": _file(inputs.blind.index)}
    text = json.dumps(settings, sort_keys=True, default=str)
    return text, hashlib.sha256(text.encode()).hexdigest()


def _file(path: Path) -> dict[str, str]:
    return {"name": path.name, "fingerprint": fingerprint(path)}


# One of n shares of a batch, for job arrays: every photo is in exactly one of them.

Photo = TypeVar("Photo")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The ``number``-th of ``count`` shards, counted from 1."""

    number: int
    count: int

    def of(self, photos: Sequence[Photo]) -> list[Photo]:
        """The photos of this shard.

        Whole stretches of photos that learn from each other (`regengine.batch.sharing`) are dealt
        out in turn, as far as the photos reach; fewer photos than that are dealt out in smaller
        pieces, so that no shard is left without work.
        """
        piece = min(STRETCH, max(1, -(-len(photos) // self.count)))
        starts = range((self.number - 1) * piece, len(photos), self.count * piece)
        return [path for start in starts for path in photos[start : start + piece]]


def parse_shard(text: str) -> Shard:
    """A shard as options write it, ``3/16``.

    Raises
    ------
    ConfigError
        If it is no such text, or there is no such shard.
    """
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            f"--shard {text!r} is no share of a batch: write its number and how many there are, "
            "like 3/16 (from 1/16 to 16/16)."
        )
    return Shard(number=int(match[1]), count=int(match[2]))
