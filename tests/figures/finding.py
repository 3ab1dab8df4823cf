"""Lights, stars and streaks found in photos by each method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.figures.summary import read_lines, read_picture, read_records
from tests.world.program import run
from tests.world.runs import SAMPLES


def _detect(kind: str, folder: Path, *words: object) -> Any:
    drawn = folder / f"{kind}{len(list(folder.iterdir()))}"
    said = run("detect", kind, *words, "--json", "--workers", 0, "--overlay", drawn)
    assert said.code == 0, said.err
    pictures = {path.stem: read_picture(path) for path in sorted(drawn.glob("*.png"))}
    return {"said": read_records(said.out), "drawn": pictures, "told": read_lines(said.err)}


def lights(drawn: Path, tmp_path: Path) -> Any:
    city = SAMPLES / "ISS990-E-000106.jpg"
    return _detect("lights", tmp_path, drawn / "night.png", city)


def stars(drawn: Path, star_fields: Path, tmp_path: Path) -> Any:
    photos = drawn / "stars.png", star_fields / "star0.jpg"
    return {
        "matched": _detect("stars", tmp_path, *photos),
        "sift": _detect("stars", tmp_path, *photos, "--method", "sift"),
    }


def streaks(drawn: Path, satellites: Path, tmp_path: Path) -> Any:
    streak, many = drawn / "streak.png", satellites / "station.png"
    methods = ("ga", "ga-kmeans", "gmm", "gmm-kmeans", "kmeans", "pso", "pso-kmeans")
    papers = {
        one: _detect("streaks", tmp_path, streak, "--method", f"paper-{one}") for one in methods
    }
    return {"radon": _detect("streaks", tmp_path, streak, many), "paper": papers}
