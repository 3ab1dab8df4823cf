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
from tests.world.notebooks import outputs_of
from tests.world.program import run
from tests.world.simulated import USUAL

SAMPLES = ROOT / "data_samples"
LIGHTS = SAMPLES / "lights.tif"
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
        "print(new - set(sys.stdlib_module_names))\n"
        "print([name for name in regengine.__all__ if not hasattr(regengine, name)])\n"
        "print(dir(regengine) == sorted(regengine.__all__))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines() == ["{'regengine'}", "[]", "True"]
    with pytest.raises(AttributeError, match="no attribute 'registr'"):
        rg.registr  # noqa: B018


# Of the command alone: how it prints, and the file of lines
PRINTED = {"help", "json", "quiet", "log-json", "dry-run"}
LINES = {"out", "resume", "no-resume", "retry", "workers", "max-memory-mb"}


@pytest.mark.parametrize(
    ("function", "command", "own"),
    [
        (rg.register_many, "register", {"no-resume", "no-neighbours", "no-stars"}),
        (rg.classify, "classify", LINES | {"sheet", "fit", "labels", "seed"}),
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


@pytest.mark.parametrize(
    ("time", "understood"),
    [
        (datetime(2014, 1, 17, 12), "2014-01-17T12:00:00+00:00"),
        (
            datetime(2014, 1, 17, 12, tzinfo=timezone(timedelta(hours=1))),
            "2014-01-17T11:00:00+00:00",
        ),
        ("2014-01-17T12:00:00Z", "2014-01-17T12:00:00+00:00"),
    ],
)
def test_what_is_known_may_be_values_or_texts(
    black: list[Path], time: datetime | str, understood: str
) -> None:
    for nadir in ((136.9, 35.7), "136.9,35.7"):
        known = {"time": time, "nadir": nadir, "altitude_km": 410.0}
        r = rg.register(black[0], lights=[str(LIGHTS)], max_seconds=0.1, **known)  # type: ignore[arg-type]
        assert r.time_utc is not None
        assert r.time_utc.isoformat() == understood
        assert r.nadir is not None
        assert (r.nadir.lon, r.nadir.lat) == pytest.approx((136.9, 35.7))
        assert r.nadir.source == "option"


def many(**options: Any) -> Callable[[Path], object]:
    told = {"lights": LIGHTS, **options}
    return lambda folder: rg.register_many(PHOTO, folder / "run.h5", **told)


WRONG: tuple[tuple[Callable[[Path], object], str], ...] = (
    (many(time="yesterday"), "^time='yesterday' is not a valid time"),
    (many(nadir="12"), "^nadir='12' is not a valid LON,LAT"),
    (many(nadir=(12.0, 95.0)), "^nadir= must be"),
    (many(blind="sometimes"), "^blind='sometimes' is unknown"),
    (many(blind="never", mission="ISS030"), "^mission= needs blind= always"),
    (many(bbox=(0.0, 9.0, 1.0, 5.0)), "^bbox=0.0,9.0,1.0,5.0 is not a valid region"),
    (many(radius_km=90.0), "^radius_km= needs centre="),
    (many(tle="gone.txt"), r"gone\.txt.*check the path given with tle=$"),
    (many(lights="gone.tif"), "gone.tif"),
    (many(max_seconds=-1), "max_seconds=-1 is out of range: give at least 0.1"),
    (many(clock_window=float("nan")), "clock_window=nan is out of range"),
    (many(shard="3/2"), "^shard='3/2' is not valid"),
    (many(retry=["good"]), "^retry='good' is not a verdict"),
    (many(effort="great"), "^effort='great' is unknown"),
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
    with pytest.raises(NoPhotoError, match=r"none\.jpg: no photo found"):
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


def test_a_camera_takes_arrays_both_ways_and_gives_nan_for_the_sky(placed: rg.Registration) -> None:
    camera = placed.camera
    assert camera is not None
    x, y = np.meshgrid([10.0, 300.0], [20.0, 200.0, 400.0])
    lon, lat = camera.pixel_to_lonlat(x, y)
    assert lon.shape == (3, 2)
    np.testing.assert_allclose(camera.lonlat_to_pixel(lon, lat), [x, y], atol=1e-6)
    assert np.isnan(camera.pixel_to_lonlat(10.0, -1e5)).all()


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


@pytest.mark.parametrize(
    ("module", "method"), [("pandas", "to_pandas"), ("geopandas", "to_geodataframe")]
)
def test_a_library_that_is_missing_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, placed: rg.Registration, module: str, method: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"needs {module}, .* pip install .regengine\["):
        getattr(placed.control_points, method)()


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


def test_scenes_detections_and_maps() -> None:
    scene = rg.classify(PHOTO, quality=True)
    assert scene.to_dict()["category"] == scene.category
    assert scene.quality is not None
    found = rg.detect(PHOTO, "lights", max_side_px=400)
    assert len(found) == len(found.x) > 0
    assert (np.diff(found.flux) <= 0).all()
    assert len(found.to_dict()["lights"]) == len(found)
    assert found.to_dict()["method"] == found.method
    window = rg.open_light_map(LIGHTS).window(-152.0, 34.0, -151.0, 35.0, 0.01)
    assert window.values.max() > 0.0


@pytest.mark.slow
def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    (tmp_path / "data_samples").symlink_to(SAMPLES)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert names["r"].frame == "ISS990-E-103"
    assert (tmp_path / "overlay.png").exists()


@pytest.mark.parametrize("folder", [ROOT, NOTEBOOK.parent])
def test_the_notebook_finds_its_samples(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    first = "".join(next(c["source"] for c in notebook["cells"] if c["cell_type"] == "code"))
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(first[: first.index("r = rg.register(")], names)
    assert (names["samples"] / "ISS990-E-000101.jpg").exists()


@pytest.mark.slow
def test_the_notebook_holds_what_running_it_gives(tmp_path: Path) -> None:
    """Rewrite it with ``python -m tests.world.notebooks docs/examples/register.ipynb``."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    stored = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    ran = outputs_of(notebook, tmp_path)

    def texts(outputs: list[list[dict[str, Any]]]) -> list[list[object]]:
        return [[one.get("text") or one["data"]["text/plain"] for one in cell] for cell in outputs]

    assert texts(ran) == texts(stored)
    kinds = [sorted(one.get("data", {})) for cell in stored for one in cell]
    assert kinds == [sorted(one.get("data", {})) for cell in ran for one in cell]
    assert ["image/jpeg", "text/plain"] in kinds
    assert NOTEBOOK.stat().st_size < 300_000
