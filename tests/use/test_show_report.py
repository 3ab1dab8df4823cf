"""`show`, `report` and the page that it writes, of stores with everything that a store may hold."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
from base64 import b64decode
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest

import regengine
from tests.conftest import ROOT
from tests.world.browser import CHROMIUM, open_browser
from tests.world.exports import decide, work
from tests.world.faults import write_photos
from tests.world.program import run
from tests.world.results import proposal
from tests.world.stores import settings_of, write_store


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


def test_a_store_is_a_table_of_a_line_a_photo(store: Path) -> None:
    said = run("show", store)
    records = run("show", store, "--json").records
    lines = said.out.splitlines()
    assert said.code == 0
    assert len(lines) == len(records) + 1 == 41
    for line, record in zip(lines[1:], records, strict=True):
        assert record["verdict"] in line
        assert line.isprintable()


@pytest.mark.parametrize("name", ["ISS030-E-184140", "iss030e184140", "ISS030-E-184140.jpg"])
def test_a_photo_is_found_by_its_name_in_any_spelling(store: Path, name: str) -> None:
    (record,) = run("show", store, name, "--json").records
    assert record["frame"] == "ISS030-E-184140"
    by_hash = run("show", store, record["sha256"][:8].upper(), "--json").records
    assert [found["frame"] for found in by_hash] == ["ISS030-E-184140"]


def test_one_photo_is_shown_whole(store: Path) -> None:
    (record,) = run("show", store, "ISS030-E-184148", "--json").records
    text = run("show", store, "ISS030-E-184148").out
    points = [f"{point['lon']:.5f}" for point in record["control_points"]]
    parts = ["REVIEW", "85 mm", "391.2 km", "control points", "hypotheses", *points]
    parts += [f"{code}: " for code in record["reasons"]]
    assert [part for part in parts if part not in text] == []


def test_nadir_is_that_of_the_solved_camera(tmp_path: Path) -> None:
    """The prior's, from an element set 53 days old, is called so: in a sheet and for Python."""
    found = proposal()
    assert found.nadir is not None
    far = replace(found, nadir=replace(found.nadir, lon=-100.0, lat=31.0))
    store = write_store(tmp_path / "run.h5", [far])
    sheet = run("show", store, far.frame).out
    told = repr(regengine.Registration(far))
    assert re.search(r"^  nadir +35\.700 N 136\.900 E, 391\.2 km$", sheet, re.M)
    assert re.search(r"^  prior nadir +31\.000 N 100\.000 W, 391\.2 km \(from tle\)$", sheet, re.M)
    assert re.search(r"^  along-track offset +-131\.70 s$", sheet, re.M)
    assert "; nadir 35.70 N 136.90 E, 391 km;" in told
    assert "; prior nadir 31.00 N 100.00 W, 391 km (tle)" in told


@pytest.mark.parametrize("source", ["centre", "lights", None])
def test_no_offset_is_shown_from_what_was_not_given(tmp_path: Path, source: str | None) -> None:
    found = proposal()
    assert found.nadir is not None
    if source is None:
        found = replace(found, time_utc=None)
    else:
        found = replace(found, nadir=replace(found.nadir, source=source))
    store = write_store(tmp_path / "run.h5", [found])
    assert "along-track offset" not in run("show", store, found.frame).out


def test_a_photo_without_a_proposal_is_shown_without_points(store: Path) -> None:
    text = run("show", store, "ISS041-E-1000").out
    assert "NO MATCH" in text
    assert "few_lights: Five lights are too few." in text
    assert "control points" not in text


def test_a_photo_that_is_not_there_is_one_sentence(store: Path) -> None:
    said = run("show", store, "ISS999-E-1")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "ISS999-E-1" in said.err


def test_every_key_of_the_figures_is_documented(store: Path) -> None:
    figures = figures_of(store)
    text = (ROOT / "docs" / "commands" / "report.md").read_text(encoding="utf-8")
    keys = [*figures, *figures["run"], *figures["times"], *figures["origins"]]
    keys += figures["clocks"]["rows"][0].keys() | figures["lenses"]["rows"][0].keys()
    assert [key for key in keys if f"`{key}`" not in text] == []


def test_the_page_lists_photos_and_asks_nothing_of_the_network(page: Path) -> None:
    data = data_of(page)
    rows = {row["frame"]: row for row in data["frames"]}
    assert len(data["frames"]) == 40
    assert rows["ISS030-E-184140"]["thumbnail"].startswith("data:image/jpeg")
    assert rows["ISS030-E-184140"]["href"].endswith("photos/ISS030-E-184140.jpg")
    assert rows["broken 0"]["thumbnail"] is None
    assert rows["broken 0"]["outline"] == []
    text = page.read_text(encoding="utf-8")
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"<(link|iframe|object|embed|base)\b", text)


def test_what_was_refuted_is_on_no_map(tmp_path: Path) -> None:
    """A photo without a match lies where it was told to be from, if at all."""
    told = replace(proposal(), solved=None, control_points=(), footprint=None, hypotheses=())
    told = replace(told, verdict="no_match", fit=None, footprint_diagonal_km=None)
    assert told.nadir is not None
    found = replace(told, frame="anywhere", nadir=replace(told.nadir, source="lights"))
    store, out = write_store(tmp_path / "run.h5", [told, found]), tmp_path / "report.html"
    assert run("report", store, "--out", out).code == 0
    data = data_of(out)
    # A nadir is no place
    assert [row["place"] for row in data["frames"]] == [None, None]
    assert [row["nadir"] for row in data["frames"]] == [[136.9, 35.7], None]
    assert (data["figures"]["places"]["photos"], data["figures"]["places"]["nadirs"]) == (0, 1)
    assert data["figures"]["places"]["cells"] == []


def test_text_of_strangers_stays_text(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(re.findall("<script", text)) == 3  # data, template, page: none of a name
    for row in data_of(page)["frames"]:
        assert row["frame"].isprintable()
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


def test_outlines_run_on_over_the_antimeridian(page: Path) -> None:
    for row in data_of(page)["frames"]:
        lons = [lon for lon, _ in row["outline"]]
        if row["frame"].startswith("ISS055"):
            assert max(lons) - min(lons) < 30.0


def test_a_thumbnail_is_the_right_way_up_and_of_the_registered_photo(
    store_copy: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report.html"
    with h5py.File(store_copy, "r+") as file:
        file["frames/orientation"][0] = 6  # left becomes up: the picture stands
    photos = store_copy.parent / "photos"
    shutil.copy(photos / "ISS030-E-184140.jpg", photos / "ISS030-E-184141.jpg")
    assert run("report", store_copy, "--out", out).code == 0
    turned, changed = data_of(out)["frames"][:2]
    content = np.frombuffer(b64decode(turned["thumbnail"].split(",")[1]), "u1")
    height, width = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE).shape
    assert height > width
    assert changed["thumbnail"] is None


def test_overlays_are_linked_where_they_are(store: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "o", tmp_path / "r.html"
    missing = run("report", store, "--out", out, "--overlay", folder)
    assert (missing.code, out.exists()) == (2, False)
    folder.mkdir()
    (folder / "ISS030-E-184140.overlay.png").touch()
    assert run("report", store, "--out", out, "--overlay", folder).code == 0
    assert data_of(out)["frames"][0]["overlay"] == "o/ISS030-E-184140.overlay.png"


@pytest.mark.parametrize("out", ["-", "run.h5", "photo.jpg", "nowhere/report.html", "photos"])
def test_what_cannot_be_written_is_one_sentence(
    store_copy: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.chdir(store_copy.parent)
    before = store_copy.read_bytes()
    said = run("report", "run.h5", "--out", out)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith(f"Error: --out {out}")
    assert store_copy.read_bytes() == before


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("time_utc", "yesterday"),
        ("pixel_pitch_um", 0.0),
        ("focal_mm", math.inf),
        ("orientation", 99),
        ("footprint_lat", (math.nan, 1.0, 1.0, 1e300)),
        ("focal_px", math.inf),
        ("quaternion", (0.0, 0.0, 0.0, 0.0)),
        ("position_ecef_m", (0.0, 0.0, 0.0)),
        ("distortion", (1e9, 1e9, 1e9, 1e9, 1e9)),
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


def test_one_is_counted_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = write_store(tmp_path / "one.h5", [proposal()])
    write_photos(tmp_path / "photos", 1)
    told = [
        run("verify", store).out,
        run("report", store, "--out", "r.html").err,
        run("export", store, "--format", "csv", "--out", "p.csv", "--verdict", "all").err,
        run("overlay", store, "--out", "drawn").err,
        repr(regengine.open_store(store)),
        repr(regengine.open_store(store).frames),
        run("detect", "lights", "photos", "--out", "l.ndjson", "--workers", 0).err,
        run(
            *("register", "photos", "--lights", ROOT / "data_samples" / "lights.tif"),
            *("--blind", "never", "--workers", 0, "--store", "two.h5"),
        ).err,
    ]
    for text, one in zip(
        told, ("1 frame.", "1 photo,", "1 photo", "0 overlays", "1 photo>", "1 row,", "1 photo;",
               "1 photo:"), strict=True
    ):  # fmt: skip
        assert one in text
        assert re.findall(r"\b1 (?!is|was|has)[a-z]+s\b", text) == []


# ---- which frames, in which order and form


def shown(store: Path, *words: object) -> list[str]:
    return [record["frame"] for record in run("show", store, *words, "--json").records]


def test_frames_are_chosen_by_verdict_and_condition(store: Path) -> None:
    records = run("show", store, "--json").records
    wanted = [r["frame"] for r in records if r["verdict"] in ("review", "failed")]
    assert shown(store, "--verdict", "review,failed") == wanted
    steep = [r for r in records if r["camera"] and r["camera"]["off_nadir_deg"] < 10]
    whole = run("show", store, "--where", "off_nadir_deg < 10", "--json").records
    assert whole == steep  # whole records, with their hypotheses
    table = run("show", store, "--where", "off_nadir_deg < 10").out.splitlines()
    assert len(table) == 1 + len(steep)
    for words, told in (
        (("--where", "nonsense ="), "--where"),
        (
            ("--where", "verdict = accepted"),
            "in single quotes, 'accepted', and accepted is not a column;",
        ),
        (("--where", "off_nadir < 30"), "off_nadir is not a column, but off_nadir_deg;"),
        (("--where", "prob > 0.9"), "prob is not a column, but probability;"),
        (
            ("--sort", "foo"),
            "foo is not a column, but footprint_diagonal_km; the columns are frame_index, ",
        ),
        (("--sort", "-probabilty"), "probabilty is not a column, but probability;"),
        (("--verdict", "good"), "--verdict good"),
        (("--sort", "nonsense"), "--sort 'nonsense'"),
        (("--sort", '"off_nadir_deg"'), "--sort"),
        (("--format", "xml"), "--format xml"),
        (("--format", "csv", "--json"), "two formats"),
        (("ISS030-E-184140", "--verdict", "review"), "one frame is named"),
    ):
        said = run("show", store, *words)
        assert (said.code, said.out) == (2, "")
        assert told in said.err


def test_frames_are_sorted_and_what_lacks_the_value_comes_last(store: Path) -> None:
    records = run("show", store, "--json").records
    known = [r for r in records if r["probability"] is not None]
    unknown = [r["frame"] for r in records if r["probability"] is None]
    up = [r["frame"] for r in sorted(known, key=lambda r: r["probability"])]
    down = [r["frame"] for r in sorted(known, key=lambda r: -r["probability"])]
    assert shown(store, "--sort", "probability") == up + unknown
    assert shown(store, "--sort", "-probability") == down + unknown
    table = run("show", store, "--verdict", "accepted", "--sort", "-off_nadir_deg").out
    angles = [float(angle) for angle in re.findall(r" (\d+)° ", table)]
    assert angles == sorted(angles, reverse=True)
    assert len(angles) > 8


def test_a_frame_has_one_state_wherever_it_is_told(store_copy: Path, tmp_path: Path) -> None:
    """The engine's verdict until somebody decides; then theirs, with who and when."""
    choices = {"ISS030-E-184140": "rejected", "ISS030-E-184141": "unsure"}
    choices |= {"ISS030-E-184148": "accepted", "ISS041-E-1000": "unsure"}
    with h5py.File(store_copy) as file:
        names = file["frames/frame"].asstr()[()].tolist()
    decided = {names.index(name): (name, choice) for name, choice in choices.items()}
    before = {
        record["frame"]: record["verdict"] for record in run("show", store_copy, "--json").records
    }
    for number, (name, choice) in decided.items():
        result = regengine.open_store(store_copy)[name].result
        decide(store_copy, number, result, choice, work(None, []), "Ann")  # type: ignore[arg-type]
    state = before | dict.fromkeys(["ISS030-E-184140"], "rejected")
    state |= {"ISS030-E-184141": "review", "ISS030-E-184148": "accepted"}
    assert before["ISS030-E-184148"] == "review"
    records = run("show", store_copy, "--json").records
    assert {record["frame"]: record["verdict"] for record in records} == state
    assert [r["decision"]["reviewer"] for r in records if "decision" in r] == ["Ann"] * 4
    for verdict in ("accepted", "review", "no_match", "rejected"):
        named = [name for name, told in state.items() if told == verdict]
        assert shown(store_copy, "--verdict", verdict) == named
        assert shown(store_copy, "--where", f"verdict = '{verdict}'") == named
    assert shown(store_copy, "--reviewed") == ["ISS030-E-184148"]
    assert shown(store_copy, "--where", "decision = 'rejected'") == ["ISS030-E-184140"]
    table = {line.split()[0]: line for line in run("show", store_copy).out.splitlines()}
    for _, (name, choice) in decided.items():
        sheet = run("show", store_copy, name).out
        assert state[name].replace("_", " ").upper() in sheet.splitlines()[0]
        assert re.search(r"^  by +Ann$", sheet, re.M)
        assert re.search(rf"^  engine's verdict +{before[name]}$", sheet, re.M)
        assert re.search(rf" {state[name]} .* {choice} by Ann, 20\d\d-\d\d-\d\d$", table[name])
    rows = csv.DictReader(io.StringIO(run("show", store_copy, "--format", "csv").out, newline=""))
    assert {row["frame"]: row["verdict"] for row in rows if row["decision"]} == {
        name: state[name] for name, _ in decided.values()
    }
    # The report, tables, the catalogue and Python
    figures, counts = figures_of(store_copy), Counter(state.values())
    assert {name: n for name, n in figures["verdicts"].items() if n} == counts
    assert run("report", store_copy, "--out", tmp_path / "r.html", "--thumbnails", 0).code == 0
    rows = data_of(tmp_path / "r.html")["frames"]
    assert [row["verdict"] for row in rows] == list(state.values())
    assert "rejected by Ann, " in rows[0]["decided"]
    store = regengine.open_store(store_copy)
    assert {one.frame: one.verdict for one in store} == state
    assert dict(zip(store.frames["frame"], store.frames["verdict"], strict=True)) == state
    assert store["ISS030-E-184140"].to_dict()["decision"]["engine_verdict"] == "accepted"
    out = tmp_path / "f.csv"
    said = run(
        "export",
        store_copy,
        "--format",
        "csv",
        "--table",
        "frames",
        "--verdict",
        "all",
        "--out",
        out,
    )
    assert said.code == 0
    with out.open(encoding="utf-8", newline="") as file:
        exported = [row["verdict"] for row in csv.DictReader(file)]
    assert exported == [told for told in state.values() if told != "rejected"]
    assert run("catalogue", "build", store_copy, "--out", tmp_path / "c.parquet").code == 0
    query = "SELECT frame, verdict FROM frames"
    rows = run("catalogue", "query", tmp_path / "c.parquet", query, "--format", "json").records
    assert all(state.get(row["frame"], row["verdict"]) == row["verdict"] for row in rows)
    assert "rejected" in {row["verdict"] for row in rows}


@pytest.mark.parametrize("width", [80, 100, 120])
def test_lines_fit_the_terminal(
    width: int, store_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state, and what each frame shows, are always there; piped, nothing is cut."""
    monkeypatch.setenv("COLUMNS", str(width))
    table, sheet = run("show", store_copy).out, run("show", store_copy, "ISS030-E-184140").out
    for line in (*table.splitlines(), *sheet.splitlines()):
        assert len(line) <= width
    monkeypatch.delenv("COLUMNS")
    whole = run("show", store_copy).out
    assert "…" not in whole
    for line, full in zip(table.splitlines(), whole.splitlines(), strict=True):
        if full.startswith("ISS"):
            assert line.split()[:2] == full.split()[:2]
    full = run("show", store_copy, "ISS030-E-184140").out
    assert "".join(sheet.split()) == "".join(full.split())


def test_csv_is_what_the_table_tells_in_numbers(store: Path) -> None:
    said = run("show", store, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(said.out, newline="")))
    records = run("show", store, "--json").records
    assert len(rows) == 40
    for row, record in zip(rows, records, strict=True):
        assert row["verdict"] == record["verdict"]
        assert row["reasons"] == ",".join(record["reasons"])
        assert not row["frame"].startswith(("=", "-", "@"))  # nothing that a spreadsheet runs
        if record["camera"] is not None:
            assert float(row["probability"]) == record["probability"]
            assert float(row["off_nadir_deg"]) == record["camera"]["off_nadir_deg"]


def test_no_line_about_a_photo_is_longer_than_a_screen_of_words(tmp_path: Path) -> None:
    lights, elements = (ROOT / "data_samples" / name for name in ("lights.tif", "tle.txt"))
    write_photos(tmp_path / "photos", 1)
    run(
        *("register", tmp_path / "photos", "--lights", lights, "--tle", elements),
        *("--clock-window", 77, "--any-category", "--blind", "never", "--workers", 0),
        *("--store", tmp_path / "settings.h5"),
    )
    parameters = json.loads(settings_of(tmp_path / "settings.h5")[0])
    parameters["register"]["accept"]["min_lights"] = 11
    text = json.dumps(parameters)
    assert len(text) > 5000
    write_store(tmp_path / "run.h5", [proposal()], settings=(text, "1" * 64))
    sheet = run("show", tmp_path / "run.h5", proposal().frame).out
    assert max(map(len, sheet.splitlines())) < 250
    for name, value in (
        ("lights", lights), ("tle", elements), ("clock window s", 77.0), ("any category", "yes"),
        ("work budget", 18.0), ("accept.min_lights", 11),
    ):  # fmt: skip
        assert re.search(rf"^  {re.escape(name)} +{re.escape(str(value))}$", sheet, re.M), name
    assert "max_saturated_share" not in sheet  # as usual


# ---- what placed a photo

PROOF = (
    "31 of 60 held-out patches agree at 25 m (chance 1e-20.5); "
    "41 of 64 held-out patches agree at 12.5 m (chance 1e-35.0)"
)


@pytest.fixture
def by_kind(tmp_path: Path) -> Path:
    """A photo by lights, one on streets, one by day."""
    found = proposal()
    assert found.fit is not None
    fit = replace(found.fit, matched_lights=0, runner_up_ncc=0.0)
    results = [replace(found, frame="by-lights", path="by-lights.jpg")]
    for kind in ("streets", "day"):
        reference = f"{kind}, made by hand"
        sources = {**dict(found.sources), "reference": reference, "proof": PROOF}
        results.append(
            replace(
                found,
                frame=f"on-{kind}",
                path=f"on-{kind}.jpg",
                fit=fit,
                lights=reference,
                sources=tuple(sorted(sources.items())),
                control_points=tuple(replace(p, lights=0) for p in found.control_points),
            )
        )
    return write_store(tmp_path / "run.h5", results)


def test_the_table_tells_what_placed_a_photo(by_kind: Path) -> None:
    by_lights, *others = run("show", by_kind).out.splitlines()[1:]
    assert re.search(r" lights +143 lights +0\.29 ", by_lights)
    for line, kind in zip(others, ("streets", "day"), strict=True):
        assert re.search(rf" {kind} +41/64 patches +1\.9$|{kind} +41/64 patches  +1\.9  ", line)
        assert "0 lights" not in line
        assert "0.71 " not in line.partition("patches")[2]  # a margin that is the correlation


def test_the_sheet_and_python_tell_what_placed_a_photo(by_kind: Path) -> None:
    for kind in ("streets", "day"):
        sheet = run("show", by_kind, f"on-{kind}").out
        assert re.search(rf"^  placed on +{kind}$", sheet, re.M)
        assert "31 of 60 held-out patches agree (chance 1e-20.5)" in sheet
        assert "41 of 64 held-out patches agree (chance 1e-35.0)" in sheet
        assert "matched lights" not in sheet
        assert "runner-up" not in sheet
        told = repr(regengine.open_store(by_kind)[f"on-{kind}"])
        assert "41/64 patches" in told
        assert "margin" not in told
        assert "lights" not in told
    assert re.search(r"^  matched lights +143$", run("show", by_kind, "by-lights").out, re.M)


def test_the_report_tells_what_placed_a_photo(by_kind: Path, tmp_path: Path) -> None:
    spread = figures_of(by_kind)["reliability"]["distributions"]
    for name in ("margin", "matched_lights"):
        assert sum(of["count"] for of in spread[name].values()) == 1, name
    out = tmp_path / "report.html"
    assert run("report", by_kind, "--out", out).code == 0
    rows = {row["frame"]: row for row in data_of(out)["frames"]}
    told = {
        name: (row["placed_on"], row["lights"], row["patches"], row["margin"])
        for name, row in rows.items()
    }
    assert told == {
        "by-lights": ("lights", 143, None, 0.29),
        "on-streets": ("streets", None, "41/64 patches", None),
        "on-day": ("day", None, "41/64 patches", None),
    }


def test_a_frame_of_stretched_pixels_says_so(tmp_path: Path) -> None:
    whole = proposal()
    assert whole.solved is not None
    camera = replace(whole.solved.camera, pixel_aspect=1.5)
    squared = replace(whole, solved=replace(whole.solved, camera=camera))
    texts = [
        run("show", write_store(tmp_path / name, [one]), one.frame).out
        for name, one in (("whole.h5", whole), ("squared.h5", squared))
    ]
    told = ["pixel aspect         1.500, stretched" in text for text in texts]
    assert told == [False, True]
