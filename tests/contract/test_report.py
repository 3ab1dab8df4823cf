"""`show` and `report` of stores: lists, sheets, the page, and figures worked out anew by pandas."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

import regengine
from tests.conftest import ROOT
from tests.world.browser import CHROMIUM, open_browser
from tests.world.exports import decide, export, work
from tests.world.program import run
from tests.world.results import MAPS, nadir_camera, placed_by_day, proposal, solved
from tests.world.stores import unplaced, write_store


def figures_of(store: Path) -> dict[str, Any]:
    (figures,) = run("report", store, "--json").records
    return figures


def data_of(page: Path) -> dict[str, Any]:
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    return dict(json.loads(found[1]))


@pytest.fixture
def page(store_copy: Path, tmp_path: Path) -> Path:
    out = tmp_path / "report.html"
    assert run("report", store_copy, "--out", out).code == 0
    return out


def test_a_store_is_a_table_and_a_photo_a_sheet(store: Path) -> None:
    said = run("show", store)
    records = {one["frame"]: one for one in run("show", store, "--json").records}
    lines = said.out.splitlines()
    assert (said.code, len(lines), len(records)) == (0, 41, 40)
    for line, record in zip(lines[1:], records.values(), strict=True):
        assert record["verdict"] in line
        assert line.isprintable()
    record, text = records["ISS030-E-184148"], run("show", store, "ISS030-E-184148").out
    parts = [f"{point['lon']:.5f}" for point in record["control_points"]]
    parts += ["REVIEW", "85 mm", *(f"{code}: " for code in record["reasons"])]
    assert [part for part in parts if part not in text] == []
    rows = csv.DictReader(io.StringIO(run("show", store, "--format", "csv").out, newline=""))
    for row, record in zip(rows, records.values(), strict=True):
        assert (row["verdict"], row["reasons"]) == (record["verdict"], ",".join(record["reasons"]))
        assert not row["frame"].startswith(("=", "-", "@"))  # nothing that a spreadsheet runs


def test_nadir_is_that_of_the_solved_camera(tmp_path: Path) -> None:
    """The prior's, from an element set 53 days old, is called so: in a sheet and for Python."""
    found = proposal()
    far = replace(found, nadir=replace(found.nadir, lon=-100.0, lat=31.0))
    store = write_store(tmp_path / "run.h5", [far])
    sheet = run("show", store, far.frame).out
    told = repr(regengine.Registration(far))
    assert re.search(r"^  nadir +35\.700 N 136\.900 E, 391\.2 km$", sheet, re.M)
    assert re.search(r"^  prior nadir +31\.000 N 100\.000 W, 391\.2 km \(from tle\)$", sheet, re.M)
    assert "; nadir 35.70 N 136.90 E, 391 km;" in told
    assert "; prior nadir 31.00 N 100.00 W, 391 km (tle)" in told


def test_every_key_of_the_figures_is_documented(store: Path) -> None:
    figures = figures_of(store)
    text = (ROOT / "docs" / "commands" / "report.md").read_text(encoding="utf-8")
    keys = [*figures, *figures["run"], *figures["times"], *figures["origins"]]
    keys += figures["clocks"]["rows"][0].keys() | figures["lenses"]["rows"][0].keys()
    assert [key for key in keys if f"`{key}`" not in text] == []


def test_the_page_lists_photos_asks_nothing_and_keeps_text_of_strangers_text(page: Path) -> None:
    rows = {row["frame"]: row for row in data_of(page)["frames"]}
    assert len(data_of(page)["frames"]) == 40
    assert rows["ISS030-E-184140"]["thumbnail"].startswith("data:image/jpeg")
    assert rows["ISS030-E-184140"]["href"].endswith("photos/ISS030-E-184140.jpg")
    assert rows["broken 0"]["thumbnail"] is None
    assert rows["broken 0"]["outline"] == []
    text = page.read_text(encoding="utf-8")
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"<(link|iframe|object|embed|base)\b", text)
    assert len(re.findall("<script", text)) == 3  # data, template, page: none of a name
    for name, row in rows.items():
        assert name.isprintable()
        assert not re.search(r'["<]|^javascript:|^data:', row["href"])


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_draws_the_page_and_runs_nothing_of_a_name(page: Path) -> None:
    with open_browser() as browser:
        window = browser.new_page()
        raised: list[str] = []
        window.on("pageerror", lambda error: raised.append(str(error)))
        window.on("dialog", lambda dialog: raised.append(dialog.message))
        window.goto(page.as_uri())
        drawn = window.content()
    assert raised == []
    assert drawn[drawn.index('id="table"') :].count("<tr>") == 41
    assert 'class="outline accepted"' in drawn


@pytest.mark.parametrize(("out", "code"), [("run.h5", 2), ("photo.jpg", 2)])
def test_what_cannot_be_written_is_one_sentence(
    store_copy: Path, monkeypatch: pytest.MonkeyPatch, out: str, code: int
) -> None:
    monkeypatch.chdir(store_copy.parent)
    before = store_copy.read_bytes()
    said = run("report", "run.h5", "--out", out)
    assert (said.code, said.out, said.err.count("\n")) == (code, "", 1)
    assert out in said.err
    assert store_copy.read_bytes() == before


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("time_utc", "yesterday"),
        ("footprint_lat", (math.nan, 1.0, 1.0, 1e300)),
        ("focal_px", math.inf),
        ("position_ecef_m", (0.0, 0.0, 0.0)),
    ],
)
def test_a_photo_whose_values_make_no_sense_spoils_no_other(
    store_copy: Path, tmp_path: Path, column: str, value: object
) -> None:
    with h5py.File(store_copy, "r+") as file:
        file[f"frames/{column}"][0] = value
    out = tmp_path / "report.html"
    assert run("report", store_copy, "--out", out, "--thumbnails", 0).code == 0
    assert len(data_of(out)["frames"]) == 40
    assert figures_of(store_copy)["photos"] == 40
    assert run("show", store_copy).code == 0


# Which frames, in which order and form


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("ISS999-E-1",), "has no frame named ISS999-E-1"),
        (("--where", "verdict = accepted"), "in single quotes, 'accepted', and accepted is not a"),
        (("--sort", "foo"), "foo is not a column, but footprint_diagonal_km; the columns are "),
        (("--format", "csv", "--json"), "two formats"),
        (("ISS030-E-184140", "--verdict", "review"), "one frame is named"),
    ],
)
def test_what_makes_no_sense_of_a_list_is_one_sentence(
    store: Path, words: tuple[str, ...], told: str
) -> None:
    said = run("show", store, *words)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert told in said.err


def shown(store: Path, *words: object) -> list[str]:
    return [record["frame"] for record in run("show", store, *words, "--json").records]


def test_frames_are_chosen_and_sorted(store: Path) -> None:
    """What lacks the value comes last; chosen records are whole, with their hypotheses."""
    records = run("show", store, "--json").records
    wanted = [r["frame"] for r in records if r["verdict"] in ("review", "failed")]
    assert shown(store, "--verdict", "review,failed") == wanted
    steep = [r for r in records if r["camera"] and r["camera"]["off_nadir_deg"] < 10]
    assert run("show", store, "--where", "off_nadir_deg < 10", "--json").records == steep
    known = [r for r in records if r["probability"] is not None]
    unknown = [r["frame"] for r in records if r["probability"] is None]
    for sign, words in ((1, "probability"), (-1, "-probability")):
        expected = sorted(known, key=lambda r: sign * r["probability"])
        assert shown(store, "--sort", words) == [r["frame"] for r in expected] + unknown


def test_a_frame_has_one_state_wherever_it_is_told(store_copy: Path, tmp_path: Path) -> None:
    """The engine's verdict until somebody decides; then theirs, with who and when."""
    choices = {"ISS030-E-184140": "rejected", "ISS030-E-184141": "unsure"}
    choices |= {"ISS030-E-184148": "accepted", "ISS041-E-1000": "unsure"}
    before = {one["frame"]: one["verdict"] for one in run("show", store_copy, "--json").records}
    numbers = {name: number for number, name in enumerate(before)}
    for name, choice in choices.items():
        result = regengine.open_store(store_copy)[name].result
        decide(store_copy, numbers[name], result, choice, work(None, []), "Ann")  # type: ignore[arg-type]
    assert before["ISS030-E-184148"] == "review"
    state = before | {"ISS030-E-184140": "rejected", "ISS030-E-184141": "review"}
    state |= {"ISS030-E-184148": "accepted"}
    records = run("show", store_copy, "--json").records
    assert {record["frame"]: record["verdict"] for record in records} == state
    assert [r["decision"]["reviewer"] for r in records if "decision" in r] == ["Ann"] * 4
    for verdict in ("accepted", "review", "no_match", "rejected"):
        named = [name for name, told in state.items() if told == verdict]
        assert shown(store_copy, "--verdict", verdict) == named
        assert shown(store_copy, "--where", f"verdict = '{verdict}'") == named
    assert shown(store_copy, "--reviewed") == ["ISS030-E-184148"]
    assert shown(store_copy, "--where", "decision = 'rejected'") == ["ISS030-E-184140"]
    # The report, tables, the catalogue and Python
    assert run("report", store_copy, "--out", tmp_path / "r.html", "--thumbnails", 0).code == 0
    rows = data_of(tmp_path / "r.html")["frames"]
    assert [row["verdict"] for row in rows] == list(state.values())
    assert "rejected by Ann, " in rows[0]["decided"]
    # A person's word comes first, and the engine's doubts after its own verdict
    sheet = run("show", store_copy, "ISS030-E-184148").out
    assert sheet.startswith("ISS030-E-184148  ACCEPTED by Ann, ")
    doubt = regengine.open_store(store_copy)["ISS030-E-184148"].result.reasons[0].code
    assert sheet.index("engine's verdict     review") < sheet.index(doubt)
    store = regengine.open_store(store_copy)
    assert {one.frame: one.verdict for one in store} == state
    assert dict(zip(store.frames["frame"], store.frames["verdict"], strict=True)) == state
    assert store["ISS030-E-184140"].to_dict()["decision"]["engine_verdict"] == "accepted"
    export(store_copy, "csv", tmp_path / "f.csv", "--table", "frames", "--verdict", "all")
    exported = pd.read_csv(tmp_path / "f.csv")["verdict"].tolist()
    assert exported == [told for told in state.values() if told != "rejected"]


def test_lines_fit_the_terminal_and_are_whole_in_a_pipe(
    store_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    width = 80
    monkeypatch.setenv("COLUMNS", str(width))
    table, sheet = run("show", store_copy).out, run("show", store_copy, "ISS030-E-184140").out
    assert max(map(len, (*table.splitlines(), *sheet.splitlines()))) <= width
    monkeypatch.delenv("COLUMNS")
    assert "…" not in run("show", store_copy).out
    full = run("show", store_copy, "ISS030-E-184140").out
    assert "".join(sheet.split()) == "".join(full.split())


# What placed a photo


def test_table_sheet_python_and_report_tell_what_placed_a_photo(tmp_path: Path) -> None:
    made = [replace(proposal(name), path=f"{name}.jpg") for name in ("by-lights", "on-day")]
    by_kind = write_store(tmp_path / "run.h5", [made[0], placed_by_day(made[1])])
    by_lights, by_day = run("show", by_kind).out.splitlines()[1:]
    assert re.search(r" lights +143 lights +0\.29 ", by_lights)
    assert re.search(r"day +41/64 patches +1\.9", by_day)
    assert "0 lights" not in by_day
    sheet = run("show", by_kind, "on-day").out
    assert re.search(r"^  placed on +day$", sheet, re.M)
    assert "41 of 64 held-out patches agree (chance 1e-35.0)" in sheet
    assert not re.search("matched lights|runner-up", sheet)
    told = repr(regengine.open_store(by_kind)["on-day"])
    assert "41/64 patches" in told
    assert not re.search("margin|lights", told)
    spread = figures_of(by_kind)["reliability"]["distributions"]
    for name in ("margin", "matched_lights"):
        assert sum(of["count"] for of in spread[name].values()) == 1, name
    out = tmp_path / "report.html"
    assert run("report", by_kind, "--out", out).code == 0
    rows = {row["frame"]: row for row in data_of(out)["frames"]}
    assert (rows["by-lights"]["lights"], rows["by-lights"]["margin"]) == (143, 0.29)
    assert (rows["on-day"]["patches"], rows["on-day"]["margin"]) == ("41/64 patches", None)


# Figures


STATES = ("accepted", "review", "no_match", "failed", "rejected")
SPEED_KM_S = 7.66


def made_results(count: int = 60) -> Iterator[Any]:
    """Photos of three bodies, three days and many numbers, most of them accepted."""
    rng = np.random.default_rng(5)
    for n in range(count):
        name = f"ISS030-E-{n}"
        if n % 10 == 9:
            yield unplaced("few_lights", (float(n), -float(n)), frame=name, path=f"{name}.jpg")
            continue
        made = proposal(name, ("accepted", "review", "accepted")[n % 3])
        nadir = replace(made.nadir, sigma_along_km=float(rng.exponential(10.0)))
        fit = replace(
            made.fit,
            ncc=float(rng.uniform(0.3, 0.9)),
            residual_m=float(rng.exponential(200.0)),
            matched_lights=int(rng.integers(1, 300)),
        )
        yield replace(
            made,
            probability=float(rng.choice([0.9, 0.99, 0.9991, 0.99995])),
            camera_body=("NIKON D3S", "NIKON D4", None)[n % 7 % 3],
            time_utc=f"2012-03-{28 + n // 4 % 3}T15:46:{n % 60:02}Z",
            seconds=float(np.round(rng.exponential(3.0), 3)),
            reference=MAPS[n % 5 % 3],
            nadir=replace(nadir, source=("tle", "tle", "tle", "option")[n % 4]),
            solved=solved(nadir_camera(), float(rng.normal(10.0, 6.0))),
            fit=fit,
        )


def is_spread_of(figures: dict[str, Any], values: pd.Series) -> bool:
    assert figures["count"] == len(values)
    for name, share in (("p05", 5), ("p25", 25), ("p50", 50), ("p75", 75), ("p95", 95)):
        assert figures[name] == pytest.approx(np.percentile(values, share))
    assert figures["mean"] == pytest.approx(values.mean())
    return True


def test_figures_are_those_of_pandas(tmp_path: Path) -> None:
    store = write_store(tmp_path / "run.h5", made_results())
    figures, columns = figures_of(store), {}
    with h5py.File(store) as file:
        for group in ("provenance", "frames"):
            for name, column in file[group].items():
                if column.ndim == 1:
                    columns[name] = column.asstr()[:] if column.dtype.kind in "SO" else column[:]
    photos = pd.DataFrame(columns)
    counted = Counter(photos.verdict)
    assert figures["verdicts"] == {name: counted[name] for name in STATES}
    accepted = photos[photos.verdict == "accepted"]
    by_lights = accepted[accepted.reference_kind == "lights"]
    sure = figures["reliability"]
    assert sure["expected_wrong"] == pytest.approx((1.0 - accepted.probability).sum())
    for name, values in (
        ("residual_m", accepted.residual_m),
        ("margin", by_lights.ncc - by_lights.runner_up_ncc),
        ("matched_lights", by_lights.matched_lights),
    ):
        assert is_spread_of(sure["distributions"][name]["accepted"], values), name
    assert is_spread_of(figures["times"]["seconds"], photos.seconds)
    teach = accepted[(accepted.nadir_source == "tle") & (accepted.camera_body != "")]
    groups = teach.groupby([teach.camera_body, teach.time_utc.str[:10]])
    assert figures["clocks"]["groups"] == len(groups) == len(figures["clocks"]["rows"]) > 4
    for row, ((body, day), some) in zip(figures["clocks"]["rows"], groups, strict=True):
        assert (row["camera_body"], row["day"], row["photos"]) == (body, day, len(some))
        offsets = some.along_track_offset_s
        assert row["median_s"] == pytest.approx(offsets.median())
        spread = 1.4826 * (offsets - offsets.median()).abs().median()
        assert row["spread_s"] == (pytest.approx(spread) if len(some) > 1 else None)
        alike = max(sum(low <= v <= low + 5.0 for v in offsets) for low in offsets)
        assert row["agree"] == pytest.approx(alike / len(offsets))
        sigma_s = some.sigma_along_km.median() / SPEED_KM_S
        assert row["tle_sigma_s"] == pytest.approx(sigma_s, rel=0.003)


# The page's pictures


def test_thumbnails_are_of_the_registered_photo_turned_as_exif_says(
    store_copy: Path, tmp_path: Path
) -> None:
    """As Pillow turns it; a corner of it is lit, and its sides differ. The ninth has changed."""
    photo = store_copy.parent / "photos" / "ISS030-E-184140.jpg"
    stored = Image.new("RGB", (640, 426), (10, 10, 10))
    stored.paste((250, 60, 60), (0, 0, 200, 100))
    with h5py.File(store_copy, "r+") as file:
        file["frames/orientation"][:8] = np.arange(1, 9)
        for number in range(9):
            path = photo.with_name(f"ISS030-E-{184140 + number}.jpg")
            exif = Image.Exif()
            exif[0x0112] = number + 1 if number < 8 else 1
            stored.save(path, quality=95, exif=exif)
            if number < 8:
                file["frames/sha256"][number] = hashlib.sha256(path.read_bytes()).hexdigest()
    out = tmp_path / "report.html"
    assert run("report", store_copy, "--out", out).code == 0
    frames = data_of(out)["frames"]
    assert frames[8]["thumbnail"] is None
    for number in range(8):
        found = Image.open(io.BytesIO(b64decode(frames[number]["thumbnail"].split(",")[1])))
        right = ImageOps.exif_transpose(
            Image.open(photo.with_name(f"ISS030-E-{184140 + number}.jpg"))
        )
        assert found.width / found.height == pytest.approx(right.width / right.height, rel=0.03)
        alike = np.asarray(right.resize(found.size), float) - np.asarray(found, float)
        assert np.abs(alike).mean() < 8.0, number
