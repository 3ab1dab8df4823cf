"""What `import regengine` offers: the commands' verbs in Python, by the same names."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import regengine as rg
from regengine.errors import ConfigError, FrameError, NoPhotoError, RegengineError, StoreError
from tests.conftest import ROOT
from tests.world.program import run
from tests.world.runs import LIGHTS, SAMPLES
from tests.world.simulated import USUAL

PHOTO = SAMPLES / "ISS990-E-000101.jpg"
NOTEBOOK = ROOT / "docs" / "examples" / "register.ipynb"


@pytest.fixture
def black(tmp_path: Path) -> list[Path]:
    """Two photos that show nothing."""
    paths = [tmp_path / "photos" / f"iss990e00000{number}.png" for number in (7, 8)]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        Image.new("L", (64, 48), number).save(path)
    return paths


@pytest.fixture(scope="module")
def placed(simulated: Path) -> rg.Registration:
    return rg.open_store(simulated / "run.h5", lights=LIGHTS)["nadir"]


def test_importing_it_imports_nothing_else_and_shows_everything() -> None:
    script = (
        "import sys\nbefore = set(sys.modules)\nimport regengine\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names)))\n"
        "print([name for name in regengine.__all__ if not hasattr(regengine, name)])\n"
        "print(dir(regengine) == sorted(regengine.__all__))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines() == ["['detectors', 'regengine']", "[]", "True"]
    with pytest.raises(AttributeError, match="no attribute 'registr'"):
        rg.registr  # noqa: B018


# Of the command alone: how it prints, and the file of lines
PRINTED = {"help", "json", "quiet", "log-json", "dry-run"}
LINES = {"out", "retry", "workers", "max-memory-mb"}


@pytest.mark.parametrize(
    ("function", "command", "own"),
    [
        (rg.register_many, "register", {"no-resume", "no-neighbours", "no-stars"}),
        (rg.classify, "classify", LINES | {"sheet", "fit", "labels", "overlay", "seed"}),
        (rg.solve, "solve", LINES | {"matches"}),
    ],
)
def test_options_are_those_of_the_command(
    function: Callable[..., object], command: str, own: set[str]
) -> None:
    offered = inspect.signature(function).parameters
    listed = run(command, "--help").out.partition("\nArguments:\n")[2]
    names = set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", re.sub(r"  \S.*", "", listed)))
    shown = set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", listed, re.M)) | names
    assert len(shown) > 15
    for name in shown - PRINTED - own:
        assert name.replace("-", "_") in offered, name
    with pytest.raises(TypeError, match=rf"{command}.*max_second"):
        function(PHOTO, max_second=3)


def test_what_is_known_may_be_values_or_texts(black: list[Path]) -> None:
    local = timezone(timedelta(hours=1))
    known: tuple[dict[str, Any], ...] = (
        {"time": datetime(2014, 1, 17, 13, tzinfo=local), "nadir": (136.9, 35.7)},
        {"time": datetime(2014, 1, 17, 12), "nadir": (136.9, 35.7)},
        {"time": "2014-01-17T12:00:00Z", "nadir": "136.9,35.7"},
    )
    for given in known:
        r = rg.register(black[0], lights=[str(LIGHTS)], max_seconds=0.1, altitude_km=410.0, **given)
        assert r.time_utc is not None
        assert r.time_utc.isoformat() == "2014-01-17T12:00:00+00:00"
        assert r.nadir is not None
        assert (r.nadir.lon, r.nadir.lat) == pytest.approx((136.9, 35.7))
        assert r.nadir.source == "option"


def many(**options: Any) -> Callable[[Path], object]:
    told = {"lights": LIGHTS, **options}
    return lambda folder: rg.register_many(PHOTO, folder / "run.h5", **told)


WRONG: tuple[tuple[Callable[[Path], object], str], ...] = (
    (many(time="yesterday"), "^time='yesterday' is not a valid time"),
    (many(nadir=(12.0, 95.0)), "^nadir= must be"),
    (many(blind="sometimes"), "^blind='sometimes' is unknown"),
    (many(blind="never", mission="ISS030"), "^mission= needs blind= always"),
    (many(tle="gone.txt"), r"gone\.txt.*check the path given with tle=$"),
    (many(max_seconds=-1), "max_seconds=-1 is out of range: give at least 0.1"),
    (many(workers=2, scheduler="x"), "^scheduler='x' is not a valid address"),
    (lambda _: rg.detect(PHOTO, "planes"), "choose one of lights, lightning, stars, streaks"),  # type: ignore[arg-type]
    (
        lambda _: rg.register("https://me:secret@host/a.jpg", lights=LIGHTS),
        r"^https://host/a\.jpg is a URL: register needs a file",
    ),
)


@pytest.mark.parametrize(("call", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_makes_no_sense_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, call: Callable[[Path], object], words: str
) -> None:
    with pytest.raises(RegengineError, match=words) as told:
        call(tmp_path)
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


def test_a_photo_that_cannot_be_read_is_an_error_alone_and_a_row_in_a_run(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    for verb in (rg.register, rg.classify, rg.solve, lambda path: rg.detect(path, "stars")):
        options = {"lights": LIGHTS} if verb is rg.register else {}
        with pytest.raises(FrameError, match=r"a\.jpg"):
            verb(tmp_path / "a.jpg", **options)
    store = rg.register_many(tmp_path, tmp_path / "run.h5", lights=LIGHTS)
    assert [(r.verdict, r.reasons[0].code) for r in store] == [("failed", "unreadable")]
    with pytest.raises(NoPhotoError, match=r"none\.jpg does not exist"):
        rg.register_many(tmp_path / "none.jpg", tmp_path / "run.h5", lights=LIGHTS)


def test_what_is_not_known_is_none_with_a_reason(black: list[Path]) -> None:
    r = rg.register(black[0], lights=LIGHTS, blind="never")
    assert (r.verdict, r.camera, r.probability, r.off_nadir_deg) == ("no_match", None, None, None)
    assert [reason.code for reason in r.reasons] == ["no_ephemeris"]
    assert (r.time_utc, r.fit, r.footprint, len(r.control_points)) == (None, None, None, 0)
    assert r.control_points.columns[:4] == ("x", "y", "lon", "lat")
    assert "no_ephemeris" in repr(r)
    assert r.plot().width >= 1000
    field = rg.solve(black[0], max_seconds=1.0)
    assert (field.solved, field.camera, len(field.stars)) == (False, None, 0)
    assert field.reason is not None
    assert field.to_dict()["reason"] == field.reason.code
    assert field.reason.code in repr(field)


def test_control_points_are_columns_rows_and_places(placed: rg.Registration) -> None:
    points = placed.control_points
    assert len(points) == 4
    assert points.lon.tolist() == points["lon"].tolist() == [point.lon for point in points]
    assert len(points[points.x > points.x.min()]) == 3
    table = points.to_pandas()
    assert table.covariance_px_1.tolist() == points.covariance_px[:, 1].tolist()
    places = points.to_geodataframe()
    assert places.geometry.x.tolist() == points.lon.tolist()
    assert places.crs.to_epsg() == 4326
    assert repr(points).splitlines()[-1] == "4 rows, 9 columns"
    assert points._repr_html_().count("<tr>") == 5
    with pytest.raises(AttributeError, match="no column longitude: columns are x, y"):
        points.longitude  # noqa: B018


def test_footprints_are_outlines_unless_a_corner_sees_the_sky(store: Path) -> None:
    frames = rg.open_store(store).frames
    outlines = frames.to_geodataframe().geometry
    seen = np.isfinite(frames.footprint_lon).all(axis=1)
    assert 20 < seen.sum() < len(frames)
    assert (outlines.notna() == seen).all()
    west, _, east, _ = outlines[24].bounds  # across the 180th meridian
    assert west < 180.0 < east < west + 20.0
    with pytest.raises(ConfigError, match="no positions"):
        rg.open_store(store).provenance.to_geodataframe()


def test_an_overlay_is_a_picture_and_is_drawn_into_axes(
    placed: rg.Registration, store: Path
) -> None:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    assert placed.plot(axes) is axes
    assert len(axes.images) == 1
    shown = placed._repr_jpeg_()
    assert shown is not None
    assert shown[:3] == b"\xff\xd8\xff"
    assert rg.open_store(store)["broken 0"]._repr_jpeg_() is None  # its photo cannot be read


def test_a_store_is_tables_and_photos(simulated: Path) -> None:
    with rg.open_store(simulated / "run.h5") as store:
        assert len(store) == len(USUAL)
        assert [r.frame for r in store] == store.frames.frame.tolist()
        assert (r := store["slanted.jpg"]).frame == "slanted"
        assert store[r.to_dict()["sha256"][:12]].path == r.path
        assert "slanted" in store
        assert "gone" not in store
        with pytest.raises(KeyError) as told:
            store["gone"]
        assert isinstance(told.value, ConfigError)
        assert str(told.value).startswith(f"{simulated / 'run.h5'} has no frame named gone: ")
        proposed = [r for r in store if r.camera is not None]
        assert len(store.control_points) == 4 * len(proposed) > 0
        assert len(store.hypotheses) == sum(len(r.hypotheses) for r in store)
        assert len(store.provenance) == len(USUAL)
        assert set(store.detections.columns) >= {"frame_index", "x", "y", "contrast"}
    with pytest.raises(StoreError, match="does not exist"):
        rg.open_store(simulated / "gone.h5")


@pytest.mark.slow
def test_the_examples_of_page_and_notebook_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    (tmp_path / "data_samples").symlink_to(SAMPLES)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert names["r"].frame == "ISS990-E-103"
    assert (tmp_path / "overlay.png").exists()
    (tmp_path / "docs" / "examples").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "docs" / "examples")  # where Jupyter opens it
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert names["r"].verdict == "accepted"
