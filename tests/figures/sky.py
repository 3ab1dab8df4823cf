"""What photos show, by each method; stars solved, satellites named, scenes classified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.figures.summary import read_lines, read_picture, read_records
from tests.world import skies
from tests.world.program import run
from tests.world.runs import SAMPLES


def solved_and_calibrated(star_fields: Path, tmp_path: Path) -> Any:
    photos = [star_fields / f"star{k}.jpg" for k in range(2)]
    out = ("--wcs", tmp_path, "--overlay", tmp_path, "--json", "--matches", "--workers", 0)
    said = run("solve", *photos, *out)
    assert said.code == 0, said.err
    stars = tmp_path / "solved.ndjson"
    stars.write_text(said.out, encoding="utf-8")
    profile = tmp_path / "lens.toml"
    lens = run("lens", "fit", *photos, "--solutions", stars, "--out", profile)
    assert lens.code == 0, lens.err
    counts = [
        read_records(run("catalogue", "stars", stars, "--table", table, "--json").out)
        for table in ("frames", "magnitudes")
    ]
    return {
        "said": read_records(said.out),
        "told": [read_lines(one.err) for one in (said, lens)],
        "lens": json.loads(lens.out),
        "lens_in_words": read_lines(run("lens", "info", profile).out.split("made")[0]),
        "counts": counts,
        "wcs": _read_headers(tmp_path),
        "drawn": {path.stem: read_picture(path) for path in sorted(tmp_path.glob("*.png"))},
    }


def _read_headers(folder: Path) -> dict[str, Any]:
    from astropy.io import fits

    return {
        path.stem: {key: value for key, value in fits.getheader(path).items() if key != "DATE"}
        for path in sorted(folder.glob("*.fits"))
    }


def solved_mirrored(star_fields: Path, tmp_path: Path) -> Any:
    words = ("--fov-deg", 39.78, "--json", "--workers", 0, "--quiet", "--matches")
    noise = skies.save(skies.dim_sky(200, 300), tmp_path / "noise.png")
    said = run("solve", star_fields / "mirrored.png", noise, *words, "--method", "sift")
    assert said.code == 0, said.err
    return read_records(said.out)


def satellites_named(satellites: Path, tmp_path: Path) -> Any:
    words = (
        *("satellites", satellites / "station.png", "--tle", satellites / "catalogue.txt"),
        *("--time", f"{skies.NIGHT:%Y-%m-%dT%H:%M:%SZ}", "--exposure-s", skies.EXPOSURE_S),
        *("--station-tle", satellites / "station.txt", "--wcs", satellites / "station_wcs.fits"),
        *("--json", "--workers", 0),
    )
    said = run(*words, "--mount", "stars", "--overlay", tmp_path)
    assert said.code == 0, said.err
    still = run(*words, "--mount", "still", "--method", "none", "--clock-sigma-s", 5)
    assert still.code == 0, still.err
    return {
        "stars": read_records(said.out),
        "told": [read_lines(one.err) for one in (said, still)],
        "still": read_records(still.out),
        "drawn": {path.stem: read_picture(path) for path in sorted(tmp_path.glob("*.png"))},
    }


def scenes_classified(scenes: Path, drawn: Path) -> Any:
    photos = (*sorted((scenes / "kinds").iterdir()), SAMPLES / "ISS990-E-000103.jpg")
    words = ("--workers", 0, "--quiet")
    words_of_it = run("classify", *photos, "--workers", 0)
    said = run("classify", *photos, "--json", "--quality", *words)
    assert said.code == 0, said.err
    features = run("classify", *photos, drawn / "streak.png", "--features", *words)
    assert features.code == 0, features.err
    return {
        "said": read_records(said.out),
        "features": read_records(features.out),
        "told": read_lines(words_of_it.out) + read_lines(words_of_it.err),
    }


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
