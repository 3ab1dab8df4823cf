"""Lightning in photos: records, overlays, labels, neighbours, and where it is not sought."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import regengine as rg
from tests.world import skies
from tests.world.program import run

FLASHES = ((260.0, 150.0, 7.0), (90.0, 210.0, 10.0))  # x, y, sigma
BOX = ["x1", "y1", "x2", "y2"]


def night(flashes: tuple[tuple[float, float, float], ...] = FLASHES, shift: int = 0) -> Any:
    """Ground with structure and sodium lamps, as a frame of a pass shows it, and flashes on it."""
    rng = np.random.default_rng(5)
    lumps = [
        cv2.GaussianBlur(rng.standard_normal((340, 460)), (0, 0), px) * px for px in (2, 6, 15)
    ]
    grey = 0.008 + 0.004 * np.clip(sum(lumps), -1.5, 3.0)
    planes = [grey.copy() for _ in range(3)]
    for x, y in rng.uniform((6, 6), (454, 334), (60, 2)):
        peak = float(rng.uniform(0.1, 0.5))
        for plane, share in zip(planes, (1.0, 0.55, 0.12), strict=True):
            skies.spot(plane, x, y, 1.2, share * peak)
    seen = [plane[shift : shift + 300, shift : shift + 400].copy() for plane in planes]
    for x, y, sigma in flashes:
        for plane, share in zip(seen, (0.86, 0.93, 1.0), strict=True):
            skies.spot(plane, x, y, sigma, 0.5 * share)
    return np.dstack([skies.stored(plane) for plane in seen])


def save(picture: Any, path: Path, focal_mm: float | None = None) -> Path:
    exif = Image.Exif()
    if focal_mm is not None:
        exif[0x0110] = "NIKON D4"
        exif.get_ifd(0x8769).update({0x920A: focal_mm})
    Image.fromarray(picture).save(path, exif=exif)
    return path


@pytest.fixture
def stormy(tmp_path: Path) -> Path:
    return save(night(), tmp_path / "stormy.png")


def detect(*words: object) -> list[dict[str, Any]]:
    said = run("detect", "lightning", "--json", "--workers", 0, *words)
    assert said.code == 0, said.err
    return said.records


def test_the_record_the_table_and_python_say_where_flashes_are(stormy: Path) -> None:
    (record,) = detect(stormy)
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


def test_a_larger_photo_gives_pixels_of_the_stored_one(stormy: Path, tmp_path: Path) -> None:
    large = save(np.kron(night(), np.ones((3, 3, 1), np.uint8)), tmp_path / "large.png")
    (record,) = detect(large, "--max-side-px", 400)
    (same,) = detect(stormy)
    for one, other in zip(record["lightning"], same["lightning"], strict=True):
        assert one["x"] == pytest.approx(3.0 * (other["x"] + 0.5) - 0.5, abs=0.1)
        assert one["fwhm_px"] == pytest.approx(3.0 * other["fwhm_px"], rel=0.01)


def test_overlays_box_each_flash_and_leave_it_seen(stormy: Path, tmp_path: Path) -> None:
    detect(stormy, "--overlay", tmp_path / "out")
    picture = cv2.imread(str(tmp_path / "out" / "stormy_lightning.png"))[..., ::-1].astype(int)
    green = (picture[..., 1] > picture[..., 0] + 60) & (picture[..., 1] > picture[..., 2] + 60)
    for x, y, _ in FLASHES:
        assert not green[round(y), round(x)]
        assert green[round(y) - 30 : round(y) + 30, round(x) - 30 : round(x) + 30].any()


def test_what_detect_prints_serves_as_labels(stormy: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(run("detect", "lightning", stormy).out, encoding="utf-8")
    words = ("bench", "lightning", labels, "--json", "--plot", tmp_path / "figures")
    (facts,) = run(*words).records
    assert (facts["method"], facts["labels"], facts["photos"]) == ("excess", 2, 1)
    assert (facts["completeness"], facts["false_per_photo"]) == (1.0, 0.0)
    assert len(list((tmp_path / "figures").iterdir())) == 1


def test_labels_that_are_none_are_told_in_a_sentence(stormy: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    for text in ("path,x1,y1\na,1,2", f"path,x1,y1,x2,y2\n{stormy},1,2,3,", "path,x1,y1,x2,y2\n"):
        bad.write_text(text, encoding="utf-8")
        said = run("bench", "lightning", bad)
        assert (said.code, said.err.count("\n")) == (2, 1)


@pytest.mark.slow
def test_neighbours_are_those_before_and_after_by_name(tmp_path: Path) -> None:
    """A light that stays is none; numbers in names count as numbers, and files that fail do not."""
    stays = (260.0, 150.0, 7.0)
    save(night((stays,)), tmp_path / "f9.png")
    moved = (stays[0] - 12, stays[1] - 12, stays[2])
    save(night((moved, (90.0, 210.0, 10.0)), shift=12), tmp_path / "f10.png")
    (tmp_path / "f11.png").write_bytes(b"no picture")
    alone = {one["frame"]: len(one["lightning"]) for one in detect(tmp_path / "f*[09].png")}
    assert alone == {"f9": 1, "f10": 2}
    said = run("detect", "lightning", tmp_path, "--neighbours", "--json", "--workers", 0)
    assert said.code == 1  # of f11 alone
    found = {one["frame"]: [round(f["x"]) for f in one["lightning"]] for one in said.records}
    assert found == {"f9": [], "f10": [90]}
    said = run("detect", "lights", tmp_path / "f9.png", "--neighbours")
    assert said.code == 2
    assert "--neighbours is for lightning" in said.err


def test_where_lightning_is_not_sought_the_record_says_why(tmp_path: Path, scenes: Path) -> None:
    grey = tmp_path / "grey.png"
    Image.fromarray(night()[..., 1]).save(grey)
    tele = save(night(), tmp_path / "tele.png", focal_mm=400.0)
    day = scenes / "kinds" / "day_0.jpg"
    for photo, code in ((grey, "no_colour"), (tele, "unsuitable_lens")):
        (record,) = detect(photo)
        assert (record["lightning"], record["reasons"]) == ([], [code])
        assert len(record["reason_texts"]) == 1
    assert detect(day)[0]["reasons"] == ["not_a_night_city_frame"]
    (record,) = detect(tele, "--whole-frame")
    assert (len(record["lightning"]), record["reasons"]) == (2, [])
    (record,) = detect(save(night(), tmp_path / "wide.png", focal_mm=50.0))
    assert (len(record["lightning"]), record["reasons"]) == (2, [])


@pytest.mark.real
@pytest.mark.slow
def test_four_frames_of_one_pass_show_their_four_flashes(real_data: Path) -> None:
    frames = real_data / "lightning" / "frames"
    records = detect(frames, "--neighbours")
    found = [[(one["x"], one["y"]) for one in record["lightning"]] for record in records]
    assert [len(places) for places in found] == [2, 0, 1, 1]
    # By eye
    assert sorted(found[0]) == [pytest.approx((227, 153), abs=9), pytest.approx((522, 275), abs=9)]
    assert found[2][0] == pytest.approx((477, 487), abs=15)
    assert found[3][0] == pytest.approx((149, 196), abs=9)
