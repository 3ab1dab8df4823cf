"""The committed page is what its sources and the lock file make, to the byte."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REVIEW = Path(__file__).resolve().parents[3] / "regengine" / "review"
PAGE, STATIC = REVIEW / "page", REVIEW / "static"
SERVED = ("app.css", "app.js", "index.html")
MAX_GZIPPED = 150_000  # bytes of the page, as it was asked
NPM = shutil.which("npm")
# What npm says where lock file and manifest are at odds, or a package is not the locked one; its
# other complaints about an installation are about the network
OF_THE_LOCK = re.compile(r"EUSAGE|EINTEGRITY|ERESOLVE|EJSONPARSE|EBADENGINE")


def install(folder: Path) -> None:
    """Fetch the locked packages; skips where npm's registry cannot be reached."""
    try:
        ran = npm(folder, "ci", "--no-audit", "--no-fund", "--prefer-offline")
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry does not answer")
    if ran.returncode and not OF_THE_LOCK.search(ran.stderr):
        pytest.skip(f"npm's registry is out of reach: {ran.stderr.strip()[-200:]}")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def run(folder: Path, *words: str) -> None:
    """Run a script of the page's manifest."""
    ran = npm(folder, *words)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def npm(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run npm there."""
    assert NPM is not None
    return subprocess.run(
        [NPM, *words], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file there."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.slow
@pytest.mark.skipif(NPM is None, reason="needs npm")
def test_the_sources_are_sound_and_make_the_committed_page(tmp_path: Path) -> None:
    made = tmp_path / "review" / "page"
    ignored = shutil.ignore_patterns("node_modules")
    shutil.copytree(PAGE, made, ignore=ignored)
    install(made)
    run(made, "run", "check")
    run(made, "test")
    run(made, "run", "build")
    told, committed = contents(tmp_path / "review" / "static"), contents(STATIC)
    different = [name for name in told | committed if told.get(name) != committed.get(name)]
    assert different == [], "run npm ci && npm run build in regengine/review/page"


def test_the_page_is_light() -> None:
    sizes = [len(gzip.compress((STATIC / name).read_bytes(), mtime=0)) for name in SERVED]
    assert sum(sizes) <= MAX_GZIPPED


def test_the_lock_names_no_address() -> None:
    lock = (PAGE / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(lock)["packages"]
    assert not [name for name, entry in packages.items() if "resolved" in entry]
    assert all("integrity" in entry for name, entry in packages.items() if name)
    assert "//registry" not in lock


def test_nothing_in_the_page_runs_or_styles_inline() -> None:
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", html) == []
    assert re.findall(r"https?://", html) == []
