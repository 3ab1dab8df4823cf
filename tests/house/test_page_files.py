"""The committed page is what its sources and the lock file make, and its geometry the engine's."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyproj import Geod

from tests.conftest import ROOT
from tests.world.geometry_vectors import CASES, VECTORS, aimed_camera, vectors

PAGE, STATIC = (ROOT / "regengine" / "review" / name for name in ("page", "static"))
MAX_GZIPPED = 150_000  # bytes of the page, as it was asked
NPM = shutil.which("npm")
# What npm says where lock file and manifest are at odds, or a package is not the locked one; its
# other complaints about an installation are about the network
OF_THE_LOCK = re.compile(r"EUSAGE|EINTEGRITY|ERESOLVE|EJSONPARSE|EBADENGINE")


def npm(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run npm there."""
    assert NPM is not None
    return subprocess.run(
        [NPM, *words], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
@pytest.mark.skipif(NPM is None, reason="needs npm")
def test_the_sources_are_sound_and_make_the_committed_page(tmp_path: Path) -> None:
    made = tmp_path / "review" / "page"
    shutil.copytree(PAGE, made, ignore=shutil.ignore_patterns("node_modules"))
    try:
        ran = npm(made, "ci", "--no-audit", "--no-fund", "--prefer-offline")
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry does not answer")
    if ran.returncode and not OF_THE_LOCK.search(ran.stderr):
        pytest.skip(f"npm's registry is out of reach: {ran.stderr.strip()[-200:]}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for words in (("run", "check"), ("test",), ("run", "build")):
        ran = npm(made, *words)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    told, committed = (
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (tmp_path / "review" / "static", STATIC)
    )
    different = [name for name in told | committed if told.get(name) != committed.get(name)]
    assert different == [], "run npm ci && npm run build in regengine/review/page"


def test_the_page_is_light_and_nothing_in_it_runs_or_styles_inline() -> None:
    served = [STATIC / name for name in ("app.css", "app.js", "index.html")]
    sizes = [len(gzip.compress(path.read_bytes(), mtime=0)) for path in served]
    assert sum(sizes) <= MAX_GZIPPED
    html = served[-1].read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:|https?://", html) == []


def test_the_lock_names_no_address() -> None:
    lock = (PAGE / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(lock)["packages"]
    assert not [name for name, entry in packages.items() if "resolved" in entry]
    assert all("integrity" in entry for name, entry in packages.items() if name)
    assert "//registry" not in lock


def same(stored: Any, made: Any) -> bool:
    """Whether two pieces of JSON are the same, numbers but for rounding."""
    if isinstance(stored, dict):
        return stored.keys() == made.keys() and all(same(stored[k], made[k]) for k in stored)
    if isinstance(stored, list | tuple):
        return len(stored) == len(made) and all(map(same, stored, made))
    if isinstance(stored, float):
        return bool(made == pytest.approx(stored, rel=1e-9, abs=1e-9))
    return bool(stored == made)


def test_the_vectors_of_the_page_are_those_of_the_engine() -> None:
    """By ``npm test``, the page's geometry agrees with them."""
    stored = json.loads(VECTORS.read_text(encoding="utf-8"))
    again = json.loads(json.dumps(vectors()))
    differing = [a["name"] for a, b in zip(stored, again, strict=True) if not same(a, b)]
    assert not differing, f"{differing}: run python -m tests.world.geometry_vectors"
    for kind, key in (("pixels", "place"), ("places", "pixel")):  # seen, hidden, and the sky
        values = [each[key] for case in again for each in case[kind]]
        assert None in values
        assert sum(value is not None for value in values) > 100


@pytest.mark.parametrize("name", CASES)
def test_the_middle_shows_the_place_and_the_top_lies_in_the_direction_of_the_turn(
    name: str,
) -> None:
    aim, lens = CASES[name]
    camera = aimed_camera(aim, lens)
    x, y = (lens.width_px - 1) / 2.0, (lens.height_px - 1) / 2.0
    assert camera.lonlat_to_pixel(aim.lon, aim.lat) == pytest.approx((x, y), abs=1e-4)
    if name == "straight down":
        for turn_deg in (0.0, 90.0, -135.0):
            camera = aimed_camera(replace(aim, turn_deg=turn_deg), lens)
            top = map(float, camera.pixel_to_lonlat(x, y - 100.0))
            azimuth = Geod(ellps="WGS84").inv(aim.lon, aim.lat, *top)[0]
            assert (azimuth - turn_deg + 180.0) % 360.0 == pytest.approx(180.0, abs=1e-3)
