"""Which damaged file a number stands for: kind, sound file and damage follow from the seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.fuzz.damage import (
    FITS_DAMAGE,
    HDF5_DAMAGE,
    JSON_DAMAGE,
    LINES,
    TABLE_DAMAGE,
    TLE_DAMAGE,
    Damage,
    damaged,
)
from benchmarks.fuzz.damage_pictures import JPEG_DAMAGE, PNG_BOMBS, PNG_DAMAGE, TIFF_DAMAGE
from benchmarks.fuzz.seeds import TABLE_SEEDS, Seeds, fits_files, jpegs, pngs, raws, tiffs

SEEDS = {
    "jpeg": jpegs,
    "png": pngs,
    "tiff": tiffs,
    "raw": raws,
    "fits": fits_files,
    **TABLE_SEEDS,
}
DAMAGE: Mapping[str, Sequence[Damage]] = {
    "jpeg": JPEG_DAMAGE,
    "png": PNG_DAMAGE,
    "tiff": TIFF_DAMAGE,
    "raw": TIFF_DAMAGE,
    "fits": FITS_DAMAGE,
    "tle": TLE_DAMAGE,
    "records": TABLE_DAMAGE,
    "labels": TABLE_DAMAGE,
    "lens": LINES,
    "settings": LINES,
    "model": JSON_DAMAGE,
    "store": HDF5_DAMAGE,
    "map": TIFF_DAMAGE,
    "sidecar": LINES,
}
# Of twenty files in a row: what comes from strangers, and in many ways, more often
ROUND: tuple[str, ...] = (
    ("jpeg",) * 3 + ("png",) * 3 + ("tiff",) * 3 + ("raw",) + ("fits",) * 2 + ("map",) * 2
)
ROUND += ("store", "tle", "records", "labels")
RARE = ("lens", "settings", "model", "sidecar")  # take turns for what is left of the twenty
ONE_BOMB_IN = 100


@dataclass(frozen=True, kw_only=True)
class Case:
    """A damaged file: its number, kind, name, contents and what was done to it."""

    number: int
    kind: str
    name: str
    data: bytes
    damage: tuple[str, ...]


def kind_of(number: int) -> str:
    """Kind of the file that a number stands for."""
    rounds, place = divmod(number, 20)
    if place < len(ROUND):
        return ROUND[place]
    return RARE[(2 * rounds + place - len(ROUND)) % len(RARE)]


@cache
def sound_files(kind: str) -> Seeds:
    """The sound files of a kind."""
    return SEEDS[kind]()


def case_of(seed: int, number: int) -> Case:
    """The damaged file that a number stands for under a seed; always the same one."""
    kind = kind_of(number)
    rng = np.random.default_rng([seed, number])
    sound = sound_files(kind)
    name = sorted(sound)[int(rng.integers(len(sound)))]
    damage = DAMAGE[kind]
    if kind == "map" and name.endswith((".h5", ".nc")):
        damage = HDF5_DAMAGE
    if kind == "png" and rng.integers(ONE_BOMB_IN) == 0:
        damage = PNG_BOMBS
    data, names = damaged(sound[name], list(sound.values()), damage, rng)
    return Case(number=number, kind=kind, name=name, data=data, damage=tuple(names))
