"""The front door: what `import regengine` offers, on the samples."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import regengine as rg
from regengine import api, pipeline
from regengine.commands.lazy import leaves, load_command
from regengine.errors import ConfigError, FrameError, NoPhotoError, RegengineError, StoreError
from regengine.records import record
from regengine.result import FrameResult
from tests.conftest import ROOT
from tests.example_results import fake_process_photo, proposal
from tests.regengine.notebooks import outputs_of

SAMPLES = ROOT / "data_samples"
LIGHTS = SAMPLES / "lights.tif"
NOTEBOOK = ROOT / "docs" / "examples" / "register.ipynb"


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three photos; the registration of them is a stand-in."""
    monkeypatch.setattr(pipeline, "process_photo", fake_process_photo)
    paths = [tmp_path / name for name in ("a.jpg", "dark.jpg", "z.jpg")]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


@pytest.fixture
def store(photos: list[Path], tmp_path: Path) -> rg.Store:
    return rg.register_many(photos, tmp_path / "run.h5", lights=LIGHTS)


def test_importing_it_imports_nothing_else_and_shows_everything() -> None:
    script = (
        "import sys, time\n"
        "before, start = set(sys.modules), time.perf_counter()\n"
        "import regengine\n"
        "taken = time.perf_counter() - start\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(taken < 0.1, new - set(sys.stdlib_module_names))\n"
        "print([name for name in regengine.__all__ if not hasattr(regengine, name)])\n"
        "print(dir(regengine) == sorted(regengine.__all__))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines() == ["True {'regengine'}", "[]", "True"]
    with pytest.raises(AttributeError, match="no attribute 'registr'"):
        rg.registr  # noqa: B018


NO_RESULT = {"as_json", "quiet", "log_json", "dry_run", "date_range", "photos", "out"}
LINES = {"resume", "retry", "workers", "max_memory_mb"}  # of the file of lines


@pytest.mark.parametrize(
    ("function", "command", "own"),
    [
        (rg.register_many, "register", NO_RESULT),
        (rg.classify, "classify", NO_RESULT | LINES | {"sheet", "fit", "labels", "seed"}),
        (rg.solve, "solve", NO_RESULT | LINES | {"matches"}),
    ],
)
def test_options_are_those_of_the_command(
    function: Callable[..., object], command: str, own: set[str]
) -> None:
    offered = inspect.signature(function).parameters
    (path,) = leaves(load_command(command))
    for parameter in path[-1].params:
        if parameter.name in own:
            continue
        assert parameter.name in offered, parameter.name
        if parameter.name in ("workers", "retry", "store", "lens", "lights"):
            continue  # 0 instead of 1; paths and sequences instead of texts
        assert offered[parameter.name].default == parameter.default, parameter.name


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        (datetime(2014, 1, 1, 12), "2014-01-01T12:00:00+00:00"),
        (
            datetime(2014, 1, 1, 12, tzinfo=timezone(timedelta(hours=1))),
            "2014-01-01T11:00:00+00:00",
        ),
        ("2014-01-01T12:00:00Z", "2014-01-01T12:00:00+00:00"),
    ],
)
def test_options_may_be_values_or_texts(given: datetime | str, understood: str) -> None:
    one = api.run_inputs(lights=str(LIGHTS), time=given, nadir=(136.9, 35.7))
    assert one.frame.time_utc is not None
    assert one.frame.time_utc.isoformat() == understood
    assert one == api.run_inputs(lights=[LIGHTS], time=given, nadir="136.9,35.7")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"time": "yesterday"}, "is no time"),
        ({"nadir": "12"}, "is no place"),
        ({"nadir": (12.0, 95.0)}, "nadir must be"),
        ({"focal_mm": -1.0}, "focal_mm must be"),
        ({"blind": "sometimes"}, "makes no sense"),
        ({"tle": "gone.txt"}, "gone.txt"),
        ({"lights": "gone.tif"}, "gone.tif"),
    ],
)
def test_options_that_make_no_sense_are_one_sentence(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(RegengineError, match=words):
        rg.register(SAMPLES / "ISS990-E-000101.jpg", **{"lights": LIGHTS, **options})  # type: ignore[arg-type]


def test_a_photo_that_cannot_be_read_is_an_error_alone_and_a_row_in_a_run(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(FrameError, match=r"a\.jpg"):
        rg.register(tmp_path / "a.jpg", lights=LIGHTS)
    store = rg.register_many(tmp_path, tmp_path / "run.h5", lights=LIGHTS)
    assert [(r.verdict, r.reasons[0].code) for r in store] == [("failed", "unreadable")]
    with pytest.raises(NoPhotoError, match=r"none\.jpg: no photo there"):
        rg.register_many(tmp_path / "none.jpg", tmp_path / "run.h5", lights=LIGHTS)


def test_what_is_not_known_is_none_with_a_reason(tmp_path: Path) -> None:
    Image.new("L", (64, 48)).save(tmp_path / "iss990e000007.png")
    r = rg.register(tmp_path / "iss990e000007.png", lights=LIGHTS, blind="never")
    assert (r.verdict, r.camera, r.probability, r.off_nadir_deg) == ("no_match", None, None, None)
    assert [reason.code for reason in r.reasons] == ["no_ephemeris"]
    assert len(r.control_points) == 0
    assert r.control_points.columns[:4] == ("x", "y", "lon", "lat")
    assert r.time_utc is None
    assert "no_ephemeris" in repr(r)
    assert r.plot().width >= 1000


def placed(path: str = "gone.jpg", result: FrameResult | None = None) -> rg.Registration:
    from dataclasses import replace

    return rg.Registration(replace(result or proposal(), path=path))


def test_a_camera_takes_arrays_both_ways_and_gives_nan_for_the_sky() -> None:
    camera = placed().camera
    assert camera is not None
    x, y = np.meshgrid([10.0, 300.0], [20.0, 200.0, 400.0])
    lon, lat = camera.pixel_to_lonlat(x, y)
    assert lon.shape == (3, 2)
    again = camera.lonlat_to_pixel(lon, lat)
    np.testing.assert_allclose(again, [x, y], atol=1e-6)
    assert np.isnan(camera.pixel_to_lonlat(10.0, -1e5)).all()


def test_control_points_are_rows_and_columns() -> None:
    r = placed()
    points = r.control_points
    assert len(points) == len(list(points)) == 4
    assert [point.lon for point in points] == points.lon.tolist() == points["lon"].tolist()
    assert points[1].x == points.x[1]
    assert len(points[points.x > points.x.min()]) == 3
    table = points.to_pandas()
    assert table.covariance_px_1.tolist() == points.covariance_px[:, 1].tolist()
    places = points.to_geodataframe()
    assert places.geometry.x.tolist() == points.lon.tolist()
    assert places.crs.to_epsg() == 4326
    assert repr(points).splitlines()[-1] == "4 rows, 9 columns"
    assert points._repr_html_().count("<tr>") == 5
    with pytest.raises(AttributeError, match="there is no column longitude: columns are x, y"):
        points.longitude  # noqa: B018


def test_footprints_are_outlines_unless_a_corner_sees_the_sky() -> None:
    outlines = rg.Table(
        {
            "frame": np.array(["a", "date line", "sky"]),
            "footprint_lon": np.array([[1.0, 2.0, 2.0, 1.0], [179.0, -179.0, -179.0, 179.0]] * 2)[
                :3
            ],
            "footprint_lat": np.array([[1.0, 1.0, 0.0, 0.0]] * 2 + [[1.0, np.nan, 0.0, 0.0]]),
        }
    ).to_geodataframe()
    assert [outline.area for outline in outlines.geometry[:2]] == [1.0, 2.0]
    assert outlines.geometry[1].bounds == (179.0, 0.0, 181.0, 1.0)
    assert outlines.geometry[2] is None


@pytest.mark.parametrize(
    ("module", "method"), [("pandas", "to_pandas"), ("geopandas", "to_geodataframe")]
)
def test_a_library_that_is_missing_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, module: str, method: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"needs {module}, .* pip install .regengine\[tables\]"):
        getattr(placed().control_points, method)()


def test_a_record_is_what_the_command_prints() -> None:
    r = placed()
    assert r.to_dict() == record(r.result)
    assert json.loads(json.dumps(r.to_dict(), allow_nan=False)) == r.to_dict() | {
        "camera": json.loads(json.dumps(r.to_dict()["camera"]))
    }


def test_an_overlay_is_a_picture_and_is_drawn_into_axes(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    photo = tmp_path / "a.png"
    Image.new("L", (640, 426)).save(photo)
    r = placed(str(photo))
    axes = Figure().subplots()
    assert r.plot(axes) is axes
    assert len(axes.images) == 1
    shown = r._repr_jpeg_()
    assert shown is not None
    assert shown[:3] == b"\xff\xd8\xff"
    assert placed("gone.jpg")._repr_jpeg_() is None


def test_a_store_is_tables_and_photos(store: rg.Store, photos: list[Path]) -> None:
    assert len(store) == 3
    assert [r.frame for r in store] == store.frames.frame.tolist() == ["a", "dark", "z"]
    assert store["dark"].verdict == "no_match"
    assert "dark" in store
    assert "gone" not in store
    frames = store.frames.to_pandas().set_index("frame_index")
    points = store.control_points.to_pandas()
    assert frames.loc[points.frame_index, "verdict"].unique().tolist() == ["accepted"]
    assert len(points) == 8
    assert len(store.hypotheses) == sum(len(r.hypotheses) for r in store)
    assert len(store.provenance) == 3
    assert set(store.detections.columns) >= {"frame_index", "x", "y", "contrast"}
    with pytest.raises(ConfigError, match="no places"):
        store.provenance.to_geodataframe()
    with rg.open_store(store.path) as again:
        assert again.frames.sha256.tolist() == store.frames.sha256.tolist()


def test_a_run_goes_on_where_it_stopped(photos: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    assert len(rg.register_many(photos[:1], path, lights=LIGHTS)) == 1
    first = rg.open_store(path).provenance.processed_utc[0]
    store = rg.register_many(tmp_path, str(path), lights=LIGHTS, progress=True)
    assert len(store) == 3
    assert store.provenance.processed_utc[0] == first
    with pytest.raises(ConfigError, match="is no verdict"):
        rg.register_many(photos, path, lights=LIGHTS, retry=["good"])


def test_an_interrupt_is_raised_once_what_is_done_is_stored(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def process(path: Path, inputs: pipeline.RunInputs) -> FrameResult:
        if path.stem == "z":
            raise KeyboardInterrupt
        return fake_process_photo(path, inputs)

    monkeypatch.setattr(pipeline, "process_photo", process)
    with pytest.raises(KeyboardInterrupt):
        rg.register_many(photos, tmp_path / "run.h5", lights=LIGHTS)
    assert [r.frame for r in rg.open_store(tmp_path / "run.h5")] == ["a", "dark"]


def test_a_store_that_is_none_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        rg.open_store(tmp_path / "gone.h5")


def test_lights_of_a_photo(tmp_path: Path) -> None:
    found = rg.detect(SAMPLES / "ISS990-E-000101.jpg", "lights", max_side_px=400)
    assert len(found) == len(found.x) > 0
    assert (np.diff(found.flux) <= 0).all()
    assert len(found.to_dict()["lights"]) == len(found)
    assert found.method == api.detect_job("lights").detector.name
    with pytest.raises(ConfigError, match="is one of lights, stars, streaks"):
        rg.detect(SAMPLES / "ISS990-E-000101.jpg", "planes")  # type: ignore[arg-type]


def test_a_photo_without_stars_is_not_solved_and_says_why(tmp_path: Path) -> None:
    Image.new("L", (320, 240)).save(tmp_path / "black.png")
    field = rg.solve(tmp_path / "black.png", max_seconds=1.0)
    assert (field.solved, field.camera, len(field.stars)) == (False, None, 0)
    assert field.reason is not None
    assert field.to_dict()["reason"] == field.reason.code
    assert field.reason.code in repr(field)


def test_scenes_and_maps() -> None:
    scene = rg.classify(SAMPLES / "ISS990-E-000101.jpg", quality=True)
    assert scene.to_dict()["category"] == scene.category
    assert scene.quality is not None
    light_map = rg.open_light_map(LIGHTS)
    assert light_map.window(-152.0, 34.0, -151.0, 35.0, 0.01).values.max() > 0.0


@pytest.mark.slow
def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    (tmp_path / "data_samples").symlink_to(SAMPLES)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert names["r"].frame == "ISS990-E-103"  # type: ignore[attr-defined]
    assert (tmp_path / "overlay.png").exists()


@pytest.mark.slow
def test_the_notebook_holds_what_running_it_gives(tmp_path: Path) -> None:
    """Rewrite it with ``python -m tests.regengine.notebooks docs/examples/register.ipynb``."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    stored = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    ran = outputs_of(notebook, tmp_path)

    def texts(outputs: list[list[dict]]) -> list[list[object]]:
        return [[one.get("text") or one["data"]["text/plain"] for one in cell] for cell in outputs]

    assert texts(ran) == texts(stored)
    kinds = [sorted(one.get("data", {})) for cell in stored for one in cell]
    assert kinds == [sorted(one.get("data", {})) for cell in ran for one in cell]
    assert ["image/jpeg", "text/plain"] in kinds
    assert NOTEBOOK.stat().st_size < 300_000
