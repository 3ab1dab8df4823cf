"""A store of many frames with photos of 45 megapixels, made in a minute."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np

from benchmarks.review_large import HEIGHT_PX, WIDTH_PX, large_photo
from benchmarks.store_frames import DISTINCT, made_up_frame, made_up_result, renumbered
from regengine.store.atomic import replacing
from regengine.store.growing import GrowingStore
from regengine.store.hdf5 import encode
from regengine.store.origin import root_attributes
from regengine.store.rows import to_tables
from regengine.store.schema import TEXT_COLUMNS
from regengine.store.store_file import StoreFile

BLOCK = 4096
# The same picture under other names and hashes: nothing is known of one from the other
PHOTOS = 12


def scale_store(folder: Path, frames: int) -> Path:
    """Write a store whose frames share `PHOTOS` photos; returns its path.

    Parameters
    ----------
    folder : Path
        Where; it then holds 250 MB of photos.
    frames : int
        How many.
    """
    hashes = _photos(folder / "photos")
    store, base = folder / "scale.h5", folder / "base.h5"
    results = [made_up_result(number) for number in range(min(DISTINCT, frames))]
    size = min(BLOCK, frames)
    made = [made_up_frame(number, results[number % DISTINCT]) for number in range(size)]
    base.write_bytes(encode(to_tables(made), root_attributes()))
    chance = np.random.default_rng(0)
    with StoreFile(base) as source:
        block = source.tables(0, size)
        lengths = dict.fromkeys(TEXT_COLUMNS, 1) | source.text_lengths()
    lengths["frames", "frame"] = len(f"ISS030-E-{frames}")
    base.unlink()
    with replacing(store) as stream, GrowingStore(stream, root_attributes(), lengths) as output:
        for start in range(0, frames, size):
            count = min(size, frames - start)
            tables = renumbered(block, start, count, chance)
            which = chance.integers(0, PHOTOS, count)
            tables["frames"]["path"] = np.array([f"photos/{k}.jpg".encode() for k in which])
            tables["frames"]["sha256"] = np.array([hashes[k].encode() for k in which])
            tables["frames"]["width_px"][:] = WIDTH_PX
            tables["frames"]["height_px"][:] = HEIGHT_PX
            output.append(tables)
    return store


def _photos(folder: Path) -> list[str]:
    folder.mkdir(parents=True)
    large_photo(folder / "0.jpg")
    for k in range(1, PHOTOS):
        shutil.copyfile(folder / "0.jpg", folder / f"{k}.jpg")
        with (folder / f"{k}.jpg").open("ab") as stream:  # beyond the picture's end
            stream.write(bytes([k]))
    names = [folder / f"{k}.jpg" for k in range(PHOTOS)]
    return [hashlib.sha256(name.read_bytes()).hexdigest() for name in names]
