"""Photos that are found, and shares of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.batch.discover import Shard, find_photos, parse_shard
from regengine.batch.sharing import BLOCK_PHOTOS
from regengine.errors import ConfigError
from tests.regengine.batch.test_batch import make


def test_folders_patterns_and_files_are_found_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "p", "b.JPG", "a.png", "notes.txt", ".hidden.jpg")
    make(tmp_path / "p" / "deep", "c.tif")
    make(tmp_path / "p" / ".cache", "d.jpg")
    make(tmp_path / "p" / "overlays", "a.overlay.png")
    below = [Path("p/a.png"), Path("p/b.JPG"), Path("p/deep/c.tif")]
    assert find_photos(["p"], exclude=[Path("p/overlays")]) == below
    assert find_photos(["p/*"], exclude=[Path("p/overlays")]) == below
    assert find_photos(["p"], exclude=[Path("p/overlays"), Path("p/deep/c.tif")]) == below[:2]
    assert find_photos(["p/**/*.tif"]) == [Path("p/deep/c.tif")]
    assert find_photos(["p/b.JPG", "p/*.JPG", str(tmp_path / "p" / "b.JPG")]) == [Path("p/b.JPG")]
    assert find_photos(["p/notes.txt"]) == [Path("p/notes.txt")]
    assert find_photos(["p/*.txt"]) == [Path("p/notes.txt")]
    assert find_photos(["gone.jpg", "p/*.nef"]) == [Path("gone.jpg")]


def test_fits_images_in_folders_without_the_headers_of_solved_photos(tmp_path: Path) -> None:
    names = ["a.fit", "b.FITS", "c.fits.fz", "d.fits.gz", "e.fts"]
    below = make(tmp_path, *names)
    make(tmp_path, "f.tar.gz", "a_wcs.fits")
    assert find_photos([str(tmp_path)]) == below
    assert find_photos([str(tmp_path / "*")]) == below


@given(st.integers(0, 1000), st.integers(1, 40))
def test_every_photo_is_in_one_shard(photos: int, count: int) -> None:
    paths = [Path(f"{k}.jpg") for k in range(photos)]
    shards = [Shard(number=k + 1, count=count).of(paths) for k in range(count)]
    assert sorted(p for shard in shards for p in shard) == sorted(paths)
    if photos >= count:
        sizes = [len(shard) for shard in shards]
        assert max(sizes) - min(sizes) <= BLOCK_PHOTOS


def test_photos_that_learn_from_each_other_stay_together() -> None:
    paths = [Path(f"{k}.jpg") for k in range(10 * BLOCK_PHOTOS)]
    second = Shard(number=2, count=3).of(paths)
    assert second[:BLOCK_PHOTOS] == paths[BLOCK_PHOTOS : 2 * BLOCK_PHOTOS]
    assert second[BLOCK_PHOTOS : 2 * BLOCK_PHOTOS] == paths[4 * BLOCK_PHOTOS : 5 * BLOCK_PHOTOS]


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_what_is_no_shard_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match="like 3/16"):
        parse_shard(text)


def test_a_shard_is_written_as_number_and_count() -> None:
    assert parse_shard(" 3/16 ") == Shard(number=3, count=16)
