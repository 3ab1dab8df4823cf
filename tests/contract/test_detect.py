"""The command `detect`: records, tables, overlays, labels, masks of photos, and lightning."""

from __future__ import annotations

import io
import json

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
BOX = ENDS
FLASHES = ((260.0, 150.0, 7.0), (90.0, 210.0, 10.0))  # x, y, sigma


def detect(kind, *words):
    """The record of the only photo."""
    said = run("detect", kind, "--json", *words)
    assert said.code == 0, said.err
    (record,) = said.records
    return record


KINDS = ("lights", "stars", "streaks")


PHOTOS = {"lights": "night.png", "stars": "stars.png", "streaks": "streak.png"}


def assert_lights(lights, scale=1.0):
    """Each light that was drawn is there, and nothing else; of a picture made larger."""
    assert len(lights) == len(skies.LIGHTS)
    for x, y, sigma in skies.LIGHTS:
        wanted = np.array([(x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5])
        apart = [np.hypot(*(wanted - (one["x"], one["y"]))) for one in lights]
        one = lights[int(np.argmin(apart))]
        assert min(apart) < 0.15 * scale
        assert one["radius_px"] == pytest.approx(1.177 * sigma * scale, rel=0.2)
        assert one["flux"] == pytest.approx(0.3 * 2 * np.pi * (sigma * scale) ** 2, rel=0.2)


def test_lights_are_where_they_were_drawn(drawn):
    record = detect("lights", drawn / "night.png")
    assert list(record) == ["frame", "path", "method", "lights"]
    assert (record["frame"], record["method"]) == ("night", "blobs")
    assert_lights(record["lights"])
    fluxes = [one["flux"] for one in record["lights"]]
    assert fluxes == sorted(fluxes, reverse=True)
    for one in record["lights"]:
        assert list(one) == [
            *("x", "y", "flux", "snr", "radius_px", "sigma_x_px", "sigma_y_px", "flags"),
        ]
        assert 0.0 < one["sigma_x_px"] < 0.1
        assert one["flags"] == []


def test_stars_are_where_they_were_drawn(drawn):
    record = detect("stars", drawn / "stars.png")
    assert list(record) == ["frame", "path", "method", "stars", "trail_px"]
    assert record["trail_px"] is None
    assert len(record["stars"]) == len(skies.STARS)
    found = np.array([(one["x"], one["y"]) for one in record["stars"]])
    for place in skies.STARS:
        assert np.hypot(*(found - place).T).min() < 0.1
    for one in record["stars"]:
        assert one["fwhm_px"] == pytest.approx(2.355 * skies.STAR_PX, rel=0.15)
        assert one["flags"] == []


def test_trails_have_their_common_length_and_direction(tmp_path):
    light = skies.dim_sky(260, 360, noise=0.002)
    middles = [(40.0 + 31.3 * k, 40.0 + 61.7 * (k % 4)) for k in range(10)]
    for x, y in middles:
        skies.line(light, (x - 8.0, y - 3.0, x + 8.0, y + 3.0), 0.12)
    record = detect("stars", skies.save(light, tmp_path / "trails.png"))
    assert record["trail_px"] == pytest.approx([16.0, 6.0], abs=1.5)
    found = np.array([(one["x"], one["y"]) for one in record["stars"]])
    for place in middles:
        assert np.hypot(*(found - place).T).min() < 0.5
    assert all("trailed" in one["flags"] for one in record["stars"])


def test_a_streak_is_where_it_was_drawn(drawn):
    record = detect("streaks", drawn / "streak.png")
    (one,) = record["streaks"]
    assert [one[name] for name in ENDS] == pytest.approx(skies.STREAK, abs=0.5)
    assert one["length_px"] == pytest.approx(np.hypot(170.0, 110.0), abs=1.0)
    assert one["width_px"] == pytest.approx(2.355 * skies.STAR_PX, rel=0.2)
    assert one["log10_false_alarm"] < -1.0
    assert list(one)[:8] == [*ENDS, "snr", "width_px", "log10_false_alarm", "length_px"]


def test_a_picture_made_smaller_gives_the_pixels_of_the_stored_one(drawn, tmp_path):
    large = skies.save(skies.night(scale=4), tmp_path / "large.png")
    assert_lights(detect("lights", large, "--max-side-px", 260)["lights"], scale=4.0)
    triple = np.kron(skies.streaked(), np.ones((3, 3)))
    wide = skies.save(triple, tmp_path / "wide.png")
    (one,) = detect("streaks", wide, "--max-side-px", 256, "--whole-frame")["streaks"]
    (same,) = detect("streaks", drawn / "streak.png", "--whole-frame")["streaks"]
    wanted = [3.0 * (same[name] + 0.5) - 0.5 for name in ENDS]
    assert [one[name] for name in ENDS] == pytest.approx(wanted, abs=0.5)
    assert one["flux"] == pytest.approx(9.0 * same["flux"], rel=0.05)
    assert one["width_px"] == pytest.approx(3.0 * same["width_px"], rel=0.05)


def test_exif_orientation_turns_nothing(tmp_path):
    turned = skies.save(skies.night(), tmp_path / "turned.png", orientation=6)
    assert_lights(detect("lights", turned)["lights"])


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


def below_a_limb():
    """A sky of stars above an arc of airglow, and lamps on the dark ground below."""
    light = skies.dim_sky(400, 600, noise=0.001)
    rows, cols = np.mgrid[:400, :600]
    height = rows - (220.0 + (cols - 300.0) ** 2 / 2200.0)
    light += 0.06 * np.exp(-0.5 * (height / 5.0) ** 2)
    light -= np.where(height > 0.0, 0.007, 0.0)
    for k in range(6):
        spot(light, 60.0 + 90.0 * k, 40.0 + 23.0 * (k % 4), skies.STAR_PX, 0.2)
        spot(light, 90.0 + 80.0 * k, 340.0 + 9.0 * (k % 4), skies.STAR_PX, 0.4)
    return np.clip(light, 0.0, 1.0)


def test_the_ground_below_the_limb_of_a_photo_is_no_sky(tmp_path):
    """And a telescope's picture has no such limb, whatever it shows."""
    photo = skies.save(below_a_limb(), tmp_path / "limb.png")
    seen, whole = (detect("stars", photo, *more) for more in ((), ("--whole-frame",)))
    assert max(one["y"] for one in seen["stars"]) < 300.0
    assert sum(one["y"] < 150.0 for one in seen["stars"]) == 6
    assert sum(one["y"] > 330.0 for one in whole["stars"]) == 6
    path = tmp_path / "telescope.fits"
    fits.PrimaryHDU((1000.0 * below_a_limb()).astype(np.float32)).writeto(path)
    assert sum(one["y"] > 330.0 for one in detect("stars", path)["stars"]) == 6


def test_captions_and_black_bars_hide_no_streak_and_are_none(tmp_path):
    light = skies.streaked()
    light[-14:] = 1.0
    light[:, -9:] = 0.0
    (one,) = detect("streaks", skies.save(light, tmp_path / "caption.png"))["streaks"]
    assert [one[name] for name in ENDS] == pytest.approx(skies.STREAK, abs=0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_the_record_and_python_say_the_same(drawn, kind):
    photo = drawn / PHOTOS[kind]
    record = detect(kind, photo)
    table = pd.read_csv(io.StringIO(run("detect", kind, photo).out), keep_default_na=False)
    listed = record[kind]
    assert list(table) == ["frame", "path", "method", *listed[0]]
    assert set(table["path"]) == {str(photo)}
    for name in listed[0]:
        if name == "flags":
            assert table[name].tolist() == ["|".join(one[name]) for one in listed]
        else:
            assert table[name].tolist() == [one[name] for one in listed]
    found = rg.detect(photo, kind)
    assert found.to_dict() == record
    assert len(found) == len(listed)


@pytest.mark.parametrize("kind", KINDS)
def test_overlays_mark_what_was_found_and_leave_its_light_seen(drawn, tmp_path, kind):
    photos = [tmp_path / name / PHOTOS[kind] for name in ("a", "b")]
    for photo in photos:
        photo.parent.mkdir()
        photo.write_bytes((drawn / PHOTOS[kind]).read_bytes())
    said = run("detect", kind, *photos, "--overlay", tmp_path / "new" / "out", "--workers", 0)
    assert said.code == 0
    written = sorted((tmp_path / "new" / "out").iterdir())
    assert len(written) == 2  # of one name, told apart
    assert all(path.name.endswith(f"_{kind}.png") for path in written)
    picture, photo = (
        cv2.imread(str(path))[..., ::-1].astype(int) for path in (written[0], photos[0])
    )
    assert picture.shape == photo.shape
    green = (picture[..., 1] > picture[..., 0] + 60) & (picture[..., 1] > picture[..., 2] + 60)
    places = {
        "lights": [(x, y) for x, y, _ in skies.LIGHTS],
        "stars": skies.STARS,
        "streaks": [(115.0, 95.0)],
    }[kind]
    for x, y in places:
        column, row = round(x), round(y)
        assert not green[row, column]
        assert green[max(row - 9, 0) : row + 10, max(column - 9, 0) : column + 10].any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_of_nothing_has_a_record_and_no_row(tmp_path, kind):
    path = tmp_path / "black.png"
    Image.new("L", (60, 50)).save(path)
    assert detect(kind, path)[kind] == []
    said = run("detect", kind, path)
    assert (said.code, said.out.count("\n")) == (0, 1)
    assert said.out.startswith("frame,path,method,")


def test_what_is_wrong_is_one_sentence_and_costs_no_other_photo(drawn, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes((drawn / "night.png").read_bytes()[:3000])
    said = run("detect", "lights", bad, drawn / "night.png", "--json", "--workers", 0, "--quiet")
    assert (said.code, len(said.records), said.err.count("\n")) == (1, 1, 1)
    assert "bad.png" in said.err
    said = run("detect", "streaks", drawn / "streak.png", "--method", "magic")
    assert said.code == 2
    assert "radon" in said.err
    said = run("detect", "lights", drawn / "night.png", "--overlay", bad)
    assert said.code == 1
    assert "cannot be written" in said.err
    with pytest.raises(rg.RegengineError, match="cannot be detected"):
        rg.detect(drawn / "night.png", "towns")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_what_detect_prints_serves_as_labels(drawn, tmp_path, kind):
    labels = tmp_path / "labels.csv"
    labels.write_text(run("detect", kind, drawn / PHOTOS[kind]).out, encoding="utf-8")
    best = {"lights": "blobs", "stars": "matched", "streaks": "radon"}[kind]
    words = ("--method", best) if kind == "streaks" else ()  # the others take seconds each
    said = run("bench", kind, labels, "--json", "--plot", tmp_path / "figures", *words)
    assert said.code == 0, said.err
    facts = {one["method"]: one for one in said.records}
    assert best in facts
    assert len(list((tmp_path / "figures").iterdir())) == len(facts)
    share = "recall" if kind == "streaks" else "completeness"
    assert (facts[best][share], facts[best]["false_per_photo"]) == (1.0, 0.0)
    assert json.loads(json.dumps(facts[best], allow_nan=False))


def test_masks_serve_as_labels_of_streaks(drawn, tmp_path):
    mask = np.zeros((208, 256), np.uint8)
    x1, y1, x2, y2 = (round(value) for value in skies.STREAK)
    cv2.line(mask, (x1, y1), (x2, y2), 255, 5)
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    labels = tmp_path / "labels.csv"
    labels.write_text(f"path,mask\n{drawn / 'streak.png'},mask.png\n", encoding="utf-8")
    (facts,) = run("bench", "streaks", labels, "--method", "radon", "--json").records
    assert (facts["labels"], facts["recall"], facts["false_per_photo"]) == (1, 1.0, 0.0)


@pytest.mark.parametrize("colour", [(1.0, 0.7, 0.45), (0.5, 0.75, 1.0)], ids=["red", "blue"])
@pytest.mark.parametrize("max_side_px", [400, 200])
def test_a_mosaic_moves_no_star(tmp_path, colour, max_side_px):
    pytest.importorskip("rawpy", reason="rawpy (extra raw) is not installed")
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
    found = rg.detect(path, "stars", max_side_px=max_side_px, whole_frame=True)
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


def test_the_record_the_table_and_python_say_where_flashes_are(stormy):
    record = detect("lightning", stormy)
    assert list(record) == [
        *("frame", "path", "method", "lightning", "reasons", "reason_texts"),
    ]
    assert (record["method"], record["reasons"]) == ("excess", [])
    listed = record["lightning"]
    assert list(listed[0]) == [
        *("x", "y", "flux", "snr", "fwhm_px", "blueness", "sigma_x_px", "sigma_y_px"),
        *(*BOX, "flags"),
    ]
    assert [one["x"] for one in listed] == pytest.approx([90.0, 260.0], abs=1.5)  # largest first
    assert [one["y"] for one in listed] == pytest.approx([210.0, 150.0], abs=1.5)
    table = pd.read_csv(io.StringIO(run("detect", "lightning", stormy).out), keep_default_na=False)
    assert list(table) == ["frame", "path", "method", *listed[0]]
    assert table["x"].tolist() == [one["x"] for one in listed]
    found = rg.detect(stormy, "lightning")
    assert found.to_dict() == record
    assert len(found) == 2


def test_a_larger_photo_gives_pixels_of_the_stored_one(stormy, tmp_path):
    large = save_as_taken(
        np.kron(stormy_night(), np.ones((3, 3, 1), np.uint8)), tmp_path / "large.png"
    )
    record = detect("lightning", large, "--max-side-px", 400)
    same = detect("lightning", stormy)
    for one, other in zip(record["lightning"], same["lightning"], strict=True):
        assert one["x"] == pytest.approx(3.0 * (other["x"] + 0.5) - 0.5, abs=0.1)
        assert one["fwhm_px"] == pytest.approx(3.0 * other["fwhm_px"], rel=0.01)


def test_overlays_box_each_flash_and_leave_it_seen(stormy, tmp_path):
    detect("lightning", stormy, "--overlay", tmp_path / "out")
    picture = cv2.imread(str(tmp_path / "out" / "stormy_lightning.png"))[..., ::-1].astype(int)
    green = (picture[..., 1] > picture[..., 0] + 60) & (picture[..., 1] > picture[..., 2] + 60)
    for x, y, _ in FLASHES:
        assert not green[round(y), round(x)]
        assert green[round(y) - 30 : round(y) + 30, round(x) - 30 : round(x) + 30].any()


def test_flashes_serve_as_labels(stormy, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text(run("detect", "lightning", stormy).out, encoding="utf-8")
    words = ("bench", "lightning", labels, "--json", "--plot", tmp_path / "figures")
    (facts,) = run(*words).records
    assert (facts["method"], facts["labels"], facts["photos"]) == ("excess", 2, 1)
    assert (facts["completeness"], facts["false_per_photo"]) == (1.0, 0.0)
    assert len(list((tmp_path / "figures").iterdir())) == 1


def test_labels_that_are_none_are_told_in_a_sentence(stormy, tmp_path):
    bad = tmp_path / "bad.csv"
    for text in ("path,x1,y1\na,1,2", f"path,x1,y1,x2,y2\n{stormy},1,2,3,", "path,x1,y1,x2,y2\n"):
        bad.write_text(text, encoding="utf-8")
        said = run("bench", "lightning", bad)
        assert (said.code, said.err.count("\n")) == (2, 1)


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
    record = detect(
        "lightning", save_as_taken(stormy_night(), tmp_path / "wide.png", focal_mm=50.0)
    )
    assert (len(record["lightning"]), record["reasons"]) == (2, [])
