"""Files that are hard to make sense of: every command that looks at skies answers, or says why."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image
from srgb import encoded

from tests.command_line import invoke
from tests.detectors.streak_scene import Streak, streak_frame

SHAPE = (120, 160)
STREAK = Streak(15.0, 20.0, 140.0, 95.0, snr=30.0)
REFUSED = {"narrow.png", "narrow.fits", "cut.fits", "table.fits", "void.fits", "cube.fits"}
# All are read by the same code: the commands that take long look at some of them
FEW = {"half.png", "clouds.png", "gaps.fts", "below_nought.fit", "narrow.png", "cut.fits"}
COMMANDS = {
    "lights": ("detect", "lights", "--json"),
    "stars": ("detect", "stars", "--json"),
    "streaks": ("detect", "streaks", "--json", "--whole-frame"),
    "solve": ("solve", "--json", "--max-seconds", "0.2"),
}


def write_pictures(folder, sky, rng):
    def save(name, pixels, **options):
        Image.fromarray(pixels).save(folder / name, **options)

    rows, cols = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    clouds = 0.1 + 0.06 * np.sin(rows / 17.0) * np.cos(cols / 23.0 + rows / 31.0)
    noise = rng.normal(0.0, 0.002, SHAPE)
    interlaced = sky.copy()
    interlaced[1::2] = np.roll(sky[1::2], 3, axis=1) * 1.1
    half = sky.copy()
    half[:, : SHAPE[1] // 2] = 1.0
    save("grey.png", encoded(sky))
    save("colour.png", np.dstack([encoded(sky)] * 3))
    save("sixteen.png", encoded(sky, 65535))
    save("blocked.jpg", encoded(sky), quality=4)
    save("interlaced.png", encoded(interlaced))
    save("half.png", encoded(half))
    save("clouds.png", encoded(clouds + noise))
    save("no_stars.png", encoded(0.05 + noise))
    save("black.png", np.zeros(SHAPE, np.uint8))
    save("white.png", np.full(SHAPE, 255, np.uint8))
    save("narrow.png", np.full((300, 1), 40, np.uint8))


def write_fits(folder, sky):
    def save(name, *hdus):
        fits.HDUList(list(hdus)).writeto(folder / name)

    counts = (3000.0 * sky + 500.0).astype(np.float32)
    gaps = counts.copy()
    gaps[:40, :50] = np.nan
    gaps[100] = np.nan
    scaled = fits.PrimaryHDU(np.rint(counts).astype(np.uint16))  # with BZERO
    save("scaled.fits", scaled)
    save("gaps.fts", fits.PrimaryHDU(gaps))
    save("below_nought.fit", fits.PrimaryHDU(counts - 700.0))
    save("several.fits", fits.PrimaryHDU(), fits.ImageHDU(counts), fits.ImageHDU(0 * counts))
    save("packed.fz", fits.PrimaryHDU(), fits.CompImageHDU(np.rint(counts).astype(np.int16)))
    save("colour.fits", fits.PrimaryHDU(np.stack([counts, 0.8 * counts, 0.9 * counts])))
    data = (folder / "scaled.fits").read_bytes()
    (folder / "zipped.fits.gz").write_bytes(gzip.compress(data))
    (folder / "cut.fits").write_bytes(data[:9000])
    save("narrow.fits", fits.PrimaryHDU(np.zeros((300, 1), np.float32)))
    save("void.fits", fits.PrimaryHDU(np.full(SHAPE, np.nan, np.float32)))
    save("cube.fits", fits.PrimaryHDU(np.zeros((9, *SHAPE), np.float32)))
    column = fits.Column(name="a", format="J", array=[1, 2])
    save("table.fits", fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("difficult")
    sky = streak_frame([STREAK], SHAPE, stars=14, seed=2).astype(float)
    write_pictures(folder, sky, np.random.default_rng(3))
    write_fits(folder, sky)
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "lights",
        "stars",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("streaks", "solve")),
    ],
)
def test_an_answer_or_one_sentence(folder, name):
    every = FEW if name != "streaks" else {path.name for path in folder.iterdir()}
    files = [str(folder / file) for file in sorted(every)]
    result = invoke(*COMMANDS[name], *files)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    answers = {}
    for line in result.stdout.splitlines():
        record = json.loads(line)
        answers[record["path"].rpartition("/")[2]] = record
    refused = REFUSED & every
    assert set(answers) == every - refused
    sentences = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert {line.split(": ")[1].split(" ")[0].rpartition("/")[2] for line in sentences} == refused
    assert all("; " in line and "unforeseen" not in line for line in sentences)
    assert result.exit_code == 1
    json.dumps(list(answers.values()), allow_nan=False)
    if name == "solve":
        assert not any(record["solved"] for record in answers.values())
    found = {file: record.get(name, []) for file, record in answers.items()}
    for file in {"black.png", "white.png"} & every:
        assert found[file] == [], file
    if name == "streaks":
        for file in ("clouds.png", "no_stars.png"):
            assert found[file] == [], file
        for file in ("colour.png", "sixteen.png", "scaled.fits", "below_nought.fit", "colour.fits"):
            assert any(fits_streak(one) for one in found[file]), file
        for file in ("several.fits", "packed.fz", "zipped.fits.gz", "interlaced.png"):
            assert any(fits_streak(one) for one in found[file]), file


def fits_streak(one):
    ends = np.array([one[key] for key in ("x1", "y1", "x2", "y2")])
    return np.abs(ends - STREAK.ends).max() < 6.0
