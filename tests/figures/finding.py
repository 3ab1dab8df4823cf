"""Lights, stars, streaks, lightning and the limb found in photos by each method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.figures.summary import read_lines, read_picture, read_records
from tests.world import skies
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


def star_trails(tmp_path: Path) -> Any:
    light = skies.dim_sky(260, 360, noise=0.002)
    turned = skies.dim_sky(260, 360, noise=0.002, seed=1)
    for k in range(12):
        x, y = 30.0 + 27.3 * k, 40.0 + 61.7 * (k % 4)
        skies.line(light, (x - 8.0, y - 3.0, x + 8.0, y + 3.0), 0.12)
        away, at = np.hypot(x - 180.0, y + 90.0), np.arctan2(y + 90.0, x - 180.0)
        for turn in np.linspace(-0.05, 0.05, 41):
            place = 180.0 + away * np.cos(at + turn), -90.0 + away * np.sin(at + turn)
            skies.spot(turned, *place, skies.STAR_PX, 0.02)
    straight = skies.save(light, tmp_path / "trails.png")
    return {
        "straight": _detect("stars", tmp_path, straight),
        "sift": _detect("stars", tmp_path, straight, "--method", "sift"),
        "turned": _detect("stars", tmp_path, skies.save(turned, tmp_path / "turned.png")),
    }


def streaks(drawn: Path, satellites: Path, tmp_path: Path) -> Any:
    streak, many = drawn / "streak.png", satellites / "station.png"
    methods = ("ga", "ga-kmeans", "gmm", "gmm-kmeans", "kmeans", "pso", "pso-kmeans")
    papers = {
        one: _detect("streaks", tmp_path, streak, "--method", f"paper-{one}") for one in methods
    }
    return {"radon": _detect("streaks", tmp_path, streak, many), "paper": papers}


def _many_lines() -> np.ndarray:
    """What is a streak, and what is none: rows of stars, narrow, bent and wide lines, cloud."""
    light = skies.dim_sky(520, 700, noise=0.004, seed=3)
    rng = np.random.default_rng(4)
    cloud = cv2.GaussianBlur(rng.standard_normal((520, 700)), (0, 0), 6.0)
    light[:, 480:] += 0.02 * np.clip(cloud / cloud.std(), 0.0, 3.0)[:, 480:]
    for x, y in rng.uniform((5, 5), (695, 515), (90, 2)):
        skies.spot(light, x, y, skies.STAR_PX, float(np.exp(rng.uniform(-4.0, -1.0))))
    for k in range(14):
        skies.spot(light, 30.0 + 9.0 * k, 480.0 - 3.0 * k, skies.STAR_PX, 0.05)
    for ends, peak, sigma in (
        ((40.0, 60.0, 430.0, 150.0), 1.5, 1.6),
        ((60.0, 250.0, 460.0, 215.0), 0.012, skies.STAR_PX),
        ((100.0, 300.0, 135.0, 330.0), 0.2, 0.45),
        ((250.0, 320.0, 420.0, 420.0), 0.05, 5.0),
        ((5.0, 1.5, 300.0, 1.5), 0.1, skies.STAR_PX),
        ((520.0, 60.0, 680.0, 300.0), 0.08, skies.STAR_PX),
        ((510.0, 400.0, 530.0, 410.0), 0.1, skies.STAR_PX),
    ):
        skies.line(light, ends, peak, sigma)
    for k in range(40):
        x = 200.0 + k
        skies.spot(light, x, 440.0 + 6.0 * np.sin(k / 9.0), 0.9, 0.12)
    return np.clip(light, 0.0, 1.0)


def streaks_among_others(tmp_path: Path) -> Any:
    many = skies.save(_many_lines(), tmp_path / "many.png")
    wide = skies.save(np.kron(skies.streaked(), np.ones((3, 3))), tmp_path / "wide.png")
    trails = skies.dim_sky(260, 360, noise=0.002)
    for k in range(12):
        x, y = 30.0 + 27.3 * k, 40.0 + 61.7 * (k % 4)
        skies.line(trails, (x - 8.0, y - 3.0, x + 8.0, y + 3.0), 0.12)
    skies.line(trails, (40.0, 230.0, 330.0, 120.0), 0.05)
    moving = skies.save(trails, tmp_path / "trails.png")
    return _detect("streaks", tmp_path, many, wide, moving, "--whole-frame")


def _below_a_limb(seed: int) -> np.ndarray:
    """A sky of stars above an arc of airglow, and lamps on the dark ground below."""
    light = skies.dim_sky(400, 600, noise=0.001, seed=seed)
    rows, cols = np.mgrid[:400, :600]
    height = rows - (220.0 + (cols - 300.0) ** 2 / 2200.0)
    light += 0.06 * np.exp(-0.5 * (height / 5.0) ** 2)
    light -= np.where(height > 0.0, 0.007, 0.0)
    for k in range(6):
        skies.spot(light, 60.0 + 90.0 * k, 40.0 + 23.0 * (k % 4), skies.STAR_PX, 0.2)
        skies.spot(light, 90.0 + 80.0 * k, 340.0 + 9.0 * (k % 4), skies.STAR_PX, 0.4)
    skies.line(light, (100.0, 60.0, 260.0, 110.0), 0.08)
    return np.clip(light, 0.0, 1.0)


def below_a_limb(tmp_path: Path) -> Any:
    photo = skies.save(_below_a_limb(0), tmp_path / "limb.png")
    return {kind: _detect(kind, tmp_path, photo) for kind in ("stars", "streaks", "lightning")}


def _stormy(shift: int, *, lit: bool) -> np.ndarray:
    """Ground with structure and sodium lamps, as a frame of a pass shows it, and flashes on it."""
    rng = np.random.default_rng(5)
    lumps = [
        cv2.GaussianBlur(rng.standard_normal((340, 460)), (0, 0), px) * px for px in (2, 6, 15)
    ]
    planes = [0.008 + 0.004 * np.clip(sum(lumps), -1.5, 3.0) for _ in range(3)]
    for x, y in rng.uniform((6, 6), (454, 334), (60, 2)):
        peak = float(rng.uniform(0.1, 0.5))
        for plane, share in zip(planes, (1.0, 0.55, 0.12), strict=True):
            skies.spot(plane, x, y, 1.2, share * peak)
    seen = [plane[shift : shift + 300, shift : shift + 400].copy() for plane in planes]
    flashes = ((260.0, 150.0, 7.0), (90.0, 210.0, 10.0), (330.0, 60.0, 4.0)) if lit else ()
    for x, y, sigma in flashes:
        for plane, share in zip(seen, (0.86, 0.93, 1.0), strict=True):
            skies.spot(plane, x, y, sigma, 0.5 * share)
    return np.dstack([skies.stored(plane) for plane in seen])


def lightning(tmp_path: Path) -> Any:
    folder = tmp_path / "pass"
    folder.mkdir()
    for k in range(3):
        cv2.imwrite(str(folder / f"{k}.png"), _stormy(4 * k, lit=k == 1)[..., ::-1])
    return {
        "alone": _detect("lightning", tmp_path, folder / "1.png"),
        "beside": _detect("lightning", tmp_path, folder, "--neighbours"),
    }
