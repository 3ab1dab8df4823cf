"""The report's page and its photos, and stores whose values make no sense."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from reported import accepted, failed, store_of, stored

from regengine.io.html import script_json, visible_text
from regengine.report.page import frame_row, overlay_of, thumbnails, turned
from regengine.report.places import coastline, outline_of
from regengine.report.report import collect, collect_store, report_figures, write_report
from regengine.result import FrameResult, Reason
from regengine.store.file import photo_file
from regengine.store.rows import from_tables, to_tables
from tests.example_results import nothing_found, proposal, solved
from tests.regengine.review.hand import CHROMIUM, open_browser

WICKED = (
    "<script>window.hit=1</script>.jpg",
    '"><img src=x onerror=window.hit=1>.jpg',
    "javascript:window.hit=1//.jpg",
    "' onclick='window.hit=1.jpg",
    "a\u2028b\u202egpj.exe",
    "</script><script>window.hit=1</script>",
    "<!--SCRIPT--><!--BODY-->.jpg",
    "${window.hit=1}`.jpg",
    "data:text/html,<script>window.hit=1</script>.jpg",
    "//evil.example/x.jpg",
    'https://evil.example/"><script>window.hit=1</script>.jpg',
    "__proto__",
)


def wicked(text: str) -> FrameResult:
    reason = Reason(code=text.replace(",", ""), text=text)
    words = {"frame": text, "path": text, "category": text, "camera_body": text, "lights": text}
    return replace(proposal(verdict="review"), engine_version=text, reasons=(reason,), **words)  # type: ignore[arg-type]


def page_of(tmp_path: Path, results: list[FrameResult], **options: Any) -> Path:
    store = store_of(tmp_path / "run.h5", results)
    collected = collect_store(store, options.pop("most_frames", 100))
    figures = report_figures(store, collected)
    out = tmp_path / "report.html"
    write_report(out, store, collected, figures, **({"most_thumbnails": 0} | options))
    return out


def data_of(page: Path) -> dict[str, Any]:
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    return dict(json.loads(found[1]))


def test_a_page_holds_the_figures_and_the_photos(tmp_path: Path) -> None:
    data = data_of(page_of(tmp_path, [accepted("a"), failed("f", "unreadable"), nothing_found()]))
    assert data["figures"]["verdicts"]["accepted"] == 1
    assert data["figures"]["run"]["format_version"] >= 1
    rows = {row["frame"]: row for row in data["frames"]}
    assert rows["a"]["verdict"] == "accepted"
    assert rows["a"]["margin"] == 0.29
    assert rows["a"]["href"].endswith("photos/a.jpg")
    assert rows["f"]["outline"] == []
    assert rows["f"]["place"] is None


def test_a_page_asks_nothing_of_the_network(tmp_path: Path) -> None:
    text = page_of(tmp_path, [accepted()]).read_text(encoding="utf-8")
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"<(link|iframe|object|embed|base)\b", text)


def test_wicked_text_stays_text(tmp_path: Path) -> None:
    page = page_of(tmp_path, [wicked(text) for text in WICKED])
    text = page.read_text(encoding="utf-8")
    assert len(re.findall("<script", text)) == 3
    data = data_of(page)
    assert [row["frame"] for row in data["frames"]] == [visible_text(name) for name in WICKED]
    schemes = {re.match("[a-z]+:", row["href"]) for row in data["frames"]} - {None}
    assert {found[0] for found in schemes if found} == {"https:"}
    assert all('"' not in row["href"] and "<" not in row["href"] for row in data["frames"])


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_draws_it_and_runs_nothing_of_it(tmp_path: Path) -> None:
    days = [accepted("a", time_utc=f"2012-03-0{day}T15:46:41Z") for day in (1, 2, 3)]
    page = page_of(tmp_path, [*(wicked(text) for text in WICKED), *days])
    with open_browser() as browser:
        window = browser.new_page()
        window.goto(page.as_uri())
        drawn = window.content()
        assert window.evaluate("window.hit") is None
    assert len(re.findall("<script", drawn)) == 3  # data, template, page: none of a name
    assert drawn.count('class="outline review"') == len(WICKED)
    table = drawn[drawn.index('id="table"') :]
    assert table.count("<tr>") == 1 + len(WICKED) + len(days)
    assert drawn.count("<circle") == len(days)  # offset by day
    assert "<img src=" not in table
    assert 'href="javascript' not in drawn


def test_outlines_run_on_over_the_antimeridian() -> None:
    corners = ((179.0, 1.0), (-179.0, 1.0), (-179.5, -1.0), (179.5, -1.0))
    ring = outline_of(accepted(footprint=corners))
    assert ring == [(179.0, 1.0), (181.0, 1.0), (180.5, -1.0), (179.5, -1.0)]


def test_an_oblique_is_outlined_up_to_the_flattest_sight() -> None:
    tilted = accepted(solved=solved(tilt_deg=65.0), footprint=(None, None, (1.0, 1.0), (2.0, 1.0)))
    ring = np.array(outline_of(tilted), np.float32)
    assert cv2.contourArea(ring) > 0.95 * cv2.contourArea(cv2.convexHull(ring))  # no line crosses
    lats = ring[:, 1].tolist()
    assert len(lats) > 8
    # Seen at 80 degrees of incidence from 391 km: the sine rule of nadir, camera and Earth's centre
    off_nadir = math.degrees(math.asin(math.sin(math.radians(80.0)) * 6371.0 / (6371.0 + 391.2)))
    assert max(lats) - 35.7 == pytest.approx(80.0 - off_nadir, abs=0.2)
    assert outline_of(nothing_found()) == []


def test_the_coastline_tells_land_from_sea() -> None:
    picture = np.zeros((1800, 3600), np.uint8)
    rings = [np.reshape(ring, (-1, 2)) for ring in coastline()]
    assert all(np.abs(r[:, 0]).max() <= 1800 and np.abs(r[:, 1]).max() <= 900 for r in rings)
    cv2.fillPoly(picture, [np.int32(r * (1, -1) + (1800, 900)) for r in rings], 1)
    land = {(2.35, 48.86): 1, (139.0, 36.5): 1, (-150.0, 35.0): 0, (-30.0, 0.0): 0, (25.0, 0.0): 1}
    for (lon, lat), there in land.items():
        assert picture[900 - round(10 * lat), 1800 + round(10 * lon)] == there, (lon, lat)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Bright in its left half."""
    rgb = np.zeros((400, 600, 3), np.uint8)
    rgb[:, :300] = 200
    path = tmp_path / "photos" / "a.png"
    path.parent.mkdir()
    Image.fromarray(rgb).save(path)
    return path


def of(photo: Path, **changes: object) -> FrameResult:
    sha256 = hashlib.sha256(photo.read_bytes()).hexdigest()
    return accepted(**{"path": str(photo), "sha256": sha256, "orientation": 1} | changes)  # type: ignore[arg-type]


def test_a_photo_is_shown_the_right_way_up(photo: Path, tmp_path: Path) -> None:
    pictures = thumbnails([of(photo, orientation=6)], tmp_path / "run.h5", 5)
    image = cv2.imdecode(np.frombuffer(pictures[0], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image.shape == (240, 160)
    assert image[40, 80] > 180  # left becomes up
    assert image[200, 80] < 20


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_are_those_of_pillow(orientation: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    image, stream = Image.fromarray(rgb), io.BytesIO()
    exif = image.getexif()
    exif[0x112] = orientation
    image.save(stream, "png", exif=exif)
    told = np.asarray(ImageOps.exif_transpose(Image.open(stream)))
    np.testing.assert_array_equal(turned(rgb, orientation), told)  # type: ignore[arg-type]


def test_paths_are_tried_from_the_stores_folder_too(photo: Path, tmp_path: Path) -> None:
    assert photo_file("photos/a.png", tmp_path / "run.h5") == tmp_path / "photos" / "a.png"
    for text in ("photos/b.png", "photos", "", "a\x00b", "x" * 5000, "https://a.example/a.png"):
        assert photo_file(text, tmp_path / "run.h5") is None


def test_another_file_in_its_place_is_not_shown(photo: Path, tmp_path: Path) -> None:
    result = of(photo)
    Image.new("RGB", (50, 50)).save(photo)
    assert thumbnails([result], tmp_path / "run.h5", 5) == {}


def test_files_that_are_no_pictures_and_failed_photos_are_left_out(tmp_path: Path) -> None:
    text = tmp_path / "a.jpg"
    text.write_text("no picture")
    bad = of(text)
    assert thumbnails([bad, failed("f", "timed_out")], tmp_path / "run.h5", 5) == {}


def test_no_more_are_read_than_asked_for(photo: Path, tmp_path: Path) -> None:
    results = [of(photo)] * 6 + [of(photo, verdict="review")] * 2
    read: list[None] = []
    pictures = thumbnails(results, tmp_path / "run.h5", 4, lambda: read.append(None))
    assert len(pictures) == len(read) == 4
    assert {6, 7} <= set(pictures)  # reviews are few, all of them are shown
    assert thumbnails(results, tmp_path / "run.h5", 0) == {}


def test_the_overlay_with_the_photos_hash_comes_first(tmp_path: Path) -> None:
    result = proposal("a")
    assert overlay_of(result, tmp_path) is None
    (tmp_path / "a.overlay.png").touch()
    assert overlay_of(result, tmp_path) == tmp_path / "a.overlay.png"
    hashed = tmp_path / f"a-{result.sha256[:8]}.overlay.png"
    hashed.touch()
    assert overlay_of(result, tmp_path) == hashed


NAN, INF = math.nan, math.inf


def told(result: FrameResult, absurd: dict[str, object]) -> dict[str, object]:
    """What becomes of a result beside a good one whose columns a stranger wrote."""
    tables = to_tables(stored([result, accepted("good", offset_s=3.0)]))
    for column, value in absurd.items():
        group, name = column.split("/")
        array = tables[group][name]
        array[0 if group != "control_points" else slice(4)] = value
    figures = collect([tables], np.array([0, 1])).figures
    script_json(figures)
    assert figures["photos"] == 2
    assert any(row["median_s"] == 3.0 for row in figures["clocks"]["rows"])
    return frame_row(from_tables(tables)[0].result, Path(), None)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("frames/time_utc", "yesterday"),
        ("frames/time_utc", "9999-99"),
        ("provenance/seconds", NAN),
        ("provenance/processed_utc", "now"),
        ("frames/probability", 7.0),
        ("frames/pixel_pitch_um", 0.0),
        ("frames/focal_mm", INF),
        ("frames/orientation", 99),
        ("frames/footprint_lon", (NAN, INF, 1.0, 2.0)),
        ("frames/footprint_lat", (NAN, 1.0, 1.0, 1e300)),
        ("control_points/sigma_m", NAN),
        ("hypotheses/centre_lon", INF),
    ],
)
def test_absurd_results(column: str, value: object) -> None:
    told(accepted(camera_body="other"), {column: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("focal_px", 0.0),
        ("focal_px", INF),
        ("quaternion", (0.0, 0.0, 0.0, 0.0)),
        ("quaternion", (NAN, NAN, NAN, NAN)),
        ("position_ecef_m", (0.0, 0.0, 0.0)),
        ("distortion", (1e9, 1e9, 1e9, 1e9, 1e9)),
        ("principal_point", (NAN, NAN)),
    ],
)
def test_absurd_cameras(name: str, value: object) -> None:
    none = (None, None, None, None)
    result = accepted(camera_body="other", footprint=none, hypotheses=())
    nowhere = dict.fromkeys(("frames/centre_lon", "frames/centre_lat"), NAN)
    row = told(result, nowhere | {f"frames/{name}": value, "frames/along_track_offset_s": NAN})
    assert row["place"] is not None  # the nadir at least
