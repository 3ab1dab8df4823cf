"""The command `detect`: records, tables, overlays, labels, masks of photos, and lightning."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from PIL import Image

import regengine as rg
from tests.world import skies
from tests.world.dng import WHITE, write_dng
from tests.world.fields import spot, star_light
from tests.world.pictures import add_blob, night_ground
from tests.world.program import run

ENDS = ["x1", "y1", "x2", "y2"]
FLASHES = ((260.0, 150.0, 7.0), (90.0, 210.0, 10.0))  # x, y, sigma


def detect(kind, *words):
    """The record of the only photo."""
    said = run("detect", kind, "--json", *words)
    assert said.code == 0, said.err
    (record,) = said.records
    return record


PHOTOS = {"lights": "night.png", "stars": "stars.png", "streaks": "streak.png"}


def test_lights_are_where_they_were_drawn(drawn):
    record = detect("lights", drawn / "night.png")
    assert (record["frame"], record["method"]) == ("night", "blobs")
    lights = record["lights"]
    assert len(lights) == len(skies.LIGHTS)
    for x, y, sigma in skies.LIGHTS:
        apart = [np.hypot(one["x"] - x, one["y"] - y) for one in lights]
        one = lights[int(np.argmin(apart))]
        assert min(apart) < 0.15
        assert one["radius_px"] == pytest.approx(1.177 * sigma, rel=0.2)
        assert one["flux"] == pytest.approx(0.3 * 2 * np.pi * sigma**2, rel=0.2)
    fluxes = [one["flux"] for one in lights]
    assert fluxes == sorted(fluxes, reverse=True)
    for one in lights:
        assert 0.0 < one["sigma_x_px"] < 0.1
        assert one["flags"] == []


def test_fits_images_keep_their_unit_and_gaps_are_ignored(tmp_path):
    light = skies.streaked()
    counts = (1000.0 * light - 20.0).astype(np.float32)
    counts[:30, 200:] = np.nan
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(counts).writeto(path)
    (one,) = detect("streaks", path)["streaks"]
    assert [one[name] for name in ENDS] == pytest.approx(skies.STREAK, abs=0.5)
    drawn_light = np.zeros_like(light)
    skies.line(drawn_light, skies.STREAK, 0.08)
    assert one["flux"] == pytest.approx(1000.0 * drawn_light.sum(), rel=0.15)


def test_the_ground_below_the_limb_of_a_photo_is_no_sky(tmp_path):
    """A sky of stars above an arc of airglow, and lamps on the dark ground below."""
    light = skies.dim_sky(400, 600, noise=0.001)
    rows, cols = np.mgrid[:400, :600]
    height = rows - (220.0 + (cols - 300.0) ** 2 / 2200.0)
    light += 0.06 * np.exp(-0.5 * (height / 5.0) ** 2)
    light -= np.where(height > 0.0, 0.007, 0.0)
    for k in range(6):
        spot(light, 60.0 + 90.0 * k, 40.0 + 23.0 * (k % 4), skies.STAR_PX, 0.2)
        spot(light, 90.0 + 80.0 * k, 340.0 + 9.0 * (k % 4), skies.STAR_PX, 0.4)
    photo = skies.save(light, tmp_path / "limb.png")
    seen, whole = (detect("stars", photo, *more) for more in ((), ("--whole-frame",)))
    assert max(one["y"] for one in seen["stars"]) < 300.0
    assert sum(one["y"] < 150.0 for one in seen["stars"]) == 6
    assert sum(one["y"] > 330.0 for one in whole["stars"]) == 6


def test_captions_and_black_bars_hide_no_streak_and_are_none(tmp_path):
    light = skies.streaked()
    light[-14:] = 1.0
    light[:, -9:] = 0.0
    (one,) = detect("streaks", skies.save(light, tmp_path / "caption.png"))["streaks"]
    assert [one[name] for name in ENDS] == pytest.approx(skies.STREAK, abs=0.5)


@pytest.mark.parametrize("kind", [*PHOTOS, "lightning"])
def test_the_table_the_record_and_python_say_the_same(drawn, stormy, kind):
    photo = stormy if kind == "lightning" else drawn / PHOTOS[kind]
    record = detect(kind, photo)
    table = pd.read_csv(io.StringIO(run("detect", kind, photo).out), keep_default_na=False)
    listed = record[kind]
    assert list(table) == ["frame", "path", "method", *listed[0]]
    for name in listed[0]:
        told = [one[name] for one in listed]
        wanted = ["|".join(flags) for flags in told] if name == "flags" else told
        assert table[name].tolist() == wanted
    assert rg.detect(photo, kind).to_dict() == record


def test_overlays_mark_what_was_found_and_leave_its_light_seen(drawn, stormy, tmp_path):
    (tmp_path / "again").mkdir()
    again = tmp_path / "again" / "stars.png"
    again.write_bytes((drawn / "stars.png").read_bytes())
    out = tmp_path / "new" / "out"
    words = ("--overlay", out, "--workers", 0)
    assert run("detect", "stars", drawn / "stars.png", again, *words).code == 0
    one, _ = sorted(out.glob("*_stars.png"))  # of one name, told apart
    assert run("detect", "lightning", stormy, *words).code == 0
    for picture, places, reach in (
        (one, skies.STARS, 9),
        (out / "stormy_lightning.png", [flash[:2] for flash in FLASHES], 30),
    ):
        blue, green, red = np.moveaxis(cv2.imread(str(picture)).astype(int), 2, 0)
        marked = (green > red + 60) & (green > blue + 60)
        for x, y in places:
            column, row = round(x), round(y)
            assert not marked[row, column]
            around = np.s_[max(row - reach, 0) : row + reach, max(column - reach, 0) :]
            assert marked[around][:, : 2 * reach].any()


def test_a_photo_of_nothing_has_no_row_and_what_is_wrong_costs_no_other_photo(drawn, tmp_path):
    Image.new("L", (60, 50)).save(tmp_path / "black.png")
    said = run("detect", "stars", tmp_path / "black.png")
    assert (said.code, said.out.count("\n")) == (0, 1)
    bad = tmp_path / "bad.png"
    bad.write_bytes((drawn / "night.png").read_bytes()[:3000])
    said = run("detect", "lights", bad, drawn / "night.png", "--json", "--workers", 0, "--quiet")
    assert (said.code, len(said.records), said.err.count("\n")) == (1, 1, 1)
    assert "bad.png" in said.err
    assert run("detect", "streaks", drawn / "streak.png", "--method", "magic").code == 2
    said = run("detect", "lights", drawn / "night.png", "--overlay", bad)
    assert said.code == 3
    assert "cannot be written" in said.err
    with pytest.raises(rg.RegengineError, match="cannot be detected"):
        rg.detect(drawn / "night.png", "towns")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "method", "share"),
    [
        ("lights", "blobs", "completeness"),
        ("stars", "matched", "completeness"),
        ("streaks", "radon", "recall"),
        ("lightning", "excess", "completeness"),
    ],
)
def test_what_detect_prints_serves_as_labels(drawn, stormy, tmp_path, kind, method, share):
    photo = stormy if kind == "lightning" else drawn / PHOTOS[kind]
    labels = tmp_path / "labels.csv"
    labels.write_text(run("detect", kind, photo).out, encoding="utf-8")
    words = ("--json", "--plot", tmp_path / "figures", "--method", method)
    said = run("bench", kind, labels, *words)
    assert said.code == 0, said.err
    (facts,) = said.records
    assert (facts["method"], facts[share], facts["false_per_photo"]) == (method, 1.0, 0.0)
    assert len(list((tmp_path / "figures").iterdir())) == 1


def test_masks_serve_as_labels_of_streaks(drawn, tmp_path):
    mask = np.zeros((208, 256), np.uint8)
    x1, y1, x2, y2 = (round(value) for value in skies.STREAK)
    cv2.line(mask, (x1, y1), (x2, y2), 255, 5)
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    labels = tmp_path / "labels.csv"
    labels.write_text(f"path,mask\n{drawn / 'streak.png'},mask.png\n", encoding="utf-8")
    (facts,) = run("bench", "streaks", labels, "--method", "radon", "--json").records
    assert (facts["labels"], facts["recall"], facts["false_per_photo"]) == (1, 1.0, 0.0)


def test_a_mosaic_moves_no_star(tmp_path):
    pytest.importorskip("rawpy", reason="rawpy (extra raw) is not installed")
    colour = 1.0, 0.7, 0.45
    rng = np.random.default_rng(2)
    grid = np.stack(np.meshgrid(np.arange(25, 380, 36), np.arange(25, 280, 36)), -1)
    truth = grid.reshape(-1, 2) + rng.uniform(-6.0, 6.0, (grid.size // 2, 2))
    peaks = rng.uniform(1e3, 3e3, len(truth))  # FWHM 4: as good as integrated over pixels
    scene = star_light((300, 400), np.column_stack([truth, peaks]), 1.72)
    for row, col, share in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        scene[row::2, col::2] *= colour[share]
    electrons = rng.poisson(200.0 + scene) + rng.normal(0.0, 6.0, scene.shape)
    sensor = np.clip(np.rint(electrons / 4.0), 0, WHITE).astype(np.uint16)
    path = write_dng(tmp_path / "stars.dng", sensor)
    found = rg.detect(path, "stars", max_side_px=200, whole_frame=True)
    seen = np.column_stack([found.x, found.y])
    gaps = np.linalg.norm(seen - truth[:, None], axis=2)
    gap, error = gaps.min(axis=1), seen[gaps.argmin(axis=1)] - truth
    assert np.mean(gap < 0.3) > 0.95
    assert np.abs(error[gap < 1.0].mean(axis=0)).max() < 0.03  # 0.08 of halved blocks


# ---- lightning


def stormy_night(flashes=FLASHES, shift=0):
    """Ground with structure and sodium lamps, as a frame of a pass shows it, and flashes on it."""
    seen = night_ground(340, 460, seed=5, noise=0.0)[
        shift : shift + 300, shift : shift + 400
    ].copy()
    for x, y, sigma in flashes:
        add_blob(seen, x, y, sigma, 0.5)
    return skies.stored(seen)


def save_as_taken(picture, path, focal_mm=None):
    exif = Image.Exif()
    if focal_mm is not None:
        exif[0x0110] = "NIKON D4"
        exif.get_ifd(0x8769).update({0x920A: focal_mm})
    Image.fromarray(picture).save(path, exif=exif)
    return path


@pytest.fixture
def stormy(tmp_path):
    return save_as_taken(stormy_night(), tmp_path / "stormy.png")


def test_flashes_are_where_they_were_drawn_also_in_a_larger_photo(stormy, tmp_path):
    record = detect("lightning", stormy)
    assert (record["method"], record["reasons"]) == ("excess", [])
    listed = record["lightning"]
    assert [one["x"] for one in listed] == pytest.approx([90.0, 260.0], abs=1.5)  # largest first
    assert [one["y"] for one in listed] == pytest.approx([210.0, 150.0], abs=1.5)
    picture = np.kron(stormy_night(), np.ones((3, 3, 1), np.uint8))
    large = detect("lightning", save_as_taken(picture, tmp_path / "a.png"), "--max-side-px", 400)
    for one, other in zip(large["lightning"], listed, strict=True):
        assert one["x"] == pytest.approx(3.0 * (other["x"] + 0.5) - 0.5, abs=0.1)
        assert one["fwhm_px"] == pytest.approx(3.0 * other["fwhm_px"], rel=0.01)


@pytest.mark.slow
def test_neighbours_are_those_before_and_after_by_name(tmp_path):
    """A light that stays is none; numbers in names count as numbers, and files that fail do not."""
    stays = (260.0, 150.0, 7.0)
    save_as_taken(stormy_night((stays,)), tmp_path / "f9.png")
    moved = (stays[0] - 12, stays[1] - 12, stays[2])
    save_as_taken(stormy_night((moved, (90.0, 210.0, 10.0)), shift=12), tmp_path / "f10.png")
    (tmp_path / "f11.png").write_bytes(b"no picture")
    said = run("detect", "lightning", "--json", "--workers", 0, tmp_path / "f*[09].png")
    assert said.code == 0, said.err
    alone = {one["frame"]: len(one["lightning"]) for one in said.records}
    assert alone == {"f9": 1, "f10": 2}
    said = run("detect", "lightning", tmp_path, "--neighbours", "--json", "--workers", 0)
    assert said.code == 1  # of f11 alone
    found = {one["frame"]: [round(f["x"]) for f in one["lightning"]] for one in said.records}
    assert found == {"f9": [], "f10": [90]}
    said = run("detect", "lights", tmp_path / "f9.png", "--neighbours")
    assert said.code == 2
    assert "--neighbours is for lightning" in said.err


def test_where_lightning_is_not_sought_the_record_says_why(tmp_path, scenes):
    grey = tmp_path / "grey.png"
    Image.fromarray(stormy_night()[..., 1]).save(grey)
    tele = save_as_taken(stormy_night(), tmp_path / "tele.png", focal_mm=400.0)
    day = scenes / "kinds" / "day_0.jpg"
    for photo, code in ((grey, "no_colour"), (tele, "unsuitable_lens")):
        record = detect("lightning", photo)
        assert (record["lightning"], record["reasons"]) == ([], [code])
        assert len(record["reason_texts"]) == 1
    assert detect("lightning", day)["reasons"] == ["not_a_night_city_frame"]
    record = detect("lightning", tele, "--whole-frame")
    assert (len(record["lightning"]), record["reasons"]) == (2, [])
