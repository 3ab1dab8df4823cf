"""The contact sheet: one page, safe with any name, its links and data as given."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np

from regengine.io.html import THUMBNAIL_PX, thumbnail_jpeg
from regengine.scene.picture import scene_picture
from regengine.scene.result import SheetEntry, write_sheet


def entry(path: Path, **changes: object) -> SheetEntry:
    given: dict[str, object] = {
        "frame": "ISS030-E-1",
        "path": path,
        "category": "cities",
        "probabilities": {"cities": 0.91, "aurora": 0.4, "day": 0.01},
        "thumbnail": b"JPEG",
        "flags": ("clock_suspect",),
    }
    return SheetEntry(**{**given, **changes})  # type: ignore[arg-type]


def data_of(page: str) -> list[dict[str, object]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return list(json.loads(found[1]))


def test_holds_every_photo_and_needs_no_network(tmp_path: Path) -> None:
    out = tmp_path / "sheet.html"
    write_sheet(out, [entry(tmp_path / "a.jpg"), entry(tmp_path / "b.jpg", category="aurora")])
    page = out.read_text()
    frames = data_of(page)
    assert [f["category"] for f in frames] == ["cities", "aurora"]
    assert frames[0]["probability"] == 0.91
    assert frames[0]["others"] == [["aurora", 0.4]]  # 0.01 is not worth a word
    assert frames[1]["others"] == [["cities", 0.91]]
    assert frames[0]["flags"] == ["clock_suspect"]
    assert "http://" not in page
    assert "https://" not in page


def test_a_name_cannot_break_out_of_its_place(tmp_path: Path) -> None:
    wicked = tmp_path / "</script><script>alert(1)<" / "a b#?.jpg"
    write_sheet(tmp_path / "s.html", [entry(wicked, frame="<img src=x>")])
    page = (tmp_path / "s.html").read_text()
    assert "alert(1)<" not in page
    frame = data_of(page)[0]
    assert frame["path"] == str(wicked)
    assert frame["href"] == "%3C/script%3E%3Cscript%3Ealert%281%29%3C/a%20b%23%3F.jpg"


def test_thumbnail_keeps_colours_and_shape() -> None:
    rgb = np.zeros((300, 600, 3), np.uint8)
    rgb[:, :300] = (250, 120, 20)
    coded = np.frombuffer(thumbnail_jpeg(scene_picture(rgb).rgb), np.uint8)
    image = cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB)
    assert image.shape == (THUMBNAIL_PX // 2, THUMBNAIL_PX, 3)
    np.testing.assert_allclose(image[60, 40], (250, 120, 20), atol=8)
    np.testing.assert_allclose(image[60, 220], 0, atol=8)
