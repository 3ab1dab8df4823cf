"""`python -m benchmarks exports`, with few photos and no processes of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import export_store, exports, store_scale
from benchmarks import exports as export_cost
from benchmarks.export_store import accepted_result
from benchmarks.export_warp import GDAL, OURS, control_points, warp_costs, worst_px
from benchmarks.exports import Cost, FormatCost, format_costs, spent
from benchmarks.exports import export_cost as cost_of
from matchers.earth import incidence_deg
from regengine.commands import app
from regengine.exchange.export.formats import format_names
from regengine.store.snapshot import read_store
from regengine.store.verify import verify_store
from tests.example_results import nadir_camera


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_scale, "DISTINCT", 3)
    monkeypatch.setattr(store_scale, "BLOCK", 4)
    monkeypatch.setattr(export_cost, "PILOT", 2)
    monkeypatch.setattr(exports, "SAMPLE", 20)
    for module in (export_store, exports):
        monkeypatch.setattr(module, "WIDTH", 133)
        monkeypatch.setattr(module, "HEIGHT", 89)
    monkeypatch.setattr(export_store, "FOCALS_PX", (90.0, 300.0))


def here(arguments: Sequence[str]) -> tuple[str, str, float, float]:
    """`regengine` within this process, at an invented price: pictures are dear."""
    result = CliRunner().invoke(app, list(arguments))
    dear = "geotiff" in arguments
    return result.stdout, result.stderr, 100.0 if dear else 2.0, 50.0


def test_the_store_is_sound_and_its_photos_are_there(tmp_path: Path) -> None:
    store = export_store.export_store(tmp_path, 5)
    assert verify_store(store).problems == ()
    frames = read_store(store)
    assert len(frames) == 5
    for stored in frames:
        result = stored.result
        assert (tmp_path / result.path).is_file()
        assert result.verdict == "accepted"
        assert result.solved is not None
        camera = result.solved.camera
        for point in result.control_points:
            x, y = camera.lonlat_to_pixel(point.lon, point.lat)
            assert (float(x), float(y)) == pytest.approx((point.x, point.y), abs=1e-6)


def test_some_photos_reach_the_limb_and_all_look_at_ground() -> None:
    assert 10.0 < exports.reach_the_limb() < 90.0
    for number in range(20):
        solved = accepted_result(number, "").solved
        assert solved is not None
        middle = solved.camera.pixel_to_ecef(*solved.camera.principal_point)
        assert incidence_deg(solved.camera.position_ecef_m, middle) < 80.0


def test_every_format_is_measured(tmp_path: Path) -> None:
    told = list(format_costs(tmp_path, [3, 4], 3, command=here))
    assert sorted({one.name for one in told}) == format_names()
    by_name = {one.name: one for one in told}
    assert set(by_name["geojson"].costs) == {3, 4}
    assert set(by_name["qgis"].costs) == {3}  # files for each photo
    assert set(by_name["geotiff"].costs) == {2}  # dear
    assert by_name["geotiff"].costs[2].files == 6
    assert by_name["gcp"].costs[3].photos == 3
    for one in told:
        for cost in one.costs.values():
            assert cost.said == ""
            assert bool(cost.files) == bool(cost.size_mb)
    # What was written is gone
    assert {path.name for path in tmp_path.glob("*/*")} == {"photo.jpg", "photos", "run.h5"}


def test_what_fails_is_told(tmp_path: Path) -> None:
    store = export_store.export_store(tmp_path, 2)
    cost = cost_of(store, "csv", ["--table", "no such"], here)
    assert (cost.photos, cost.files) == (0, 0)
    assert "no such" in cost.said


def test_a_process_tells_what_it_cost_alone() -> None:
    _ = np.ones(40_000_000)  # 320 MB here are none there
    output, messages, cpu_s, peak_mb = spent(["--version"])
    assert output.strip()
    assert messages == ""
    assert cpu_s > 0.0
    assert 10.0 < peak_mb < 250.0


def test_lines_of_the_table() -> None:
    costs = {
        size: Cost(photos=size, files=1, cpu_s=1.0 + size / 1000.0, peak_mb=200.0, size_mb=2.5)
        for size in (1000, 3000)
    }
    told = FormatCost(name="csv", options=("--table", "points"), costs=costs)
    line = exports.format_row(told, [1000, 3000], 3000)
    assert line == ["csv --table points", "3,000", "1", "2.5", "4.0", "1.00", "200", "200"]
    assert exports.sizes_told([1000, 2000, 3000]) == "1,000, 2,000 and 3,000"


def test_warps_are_of_the_same_map_and_gdals_points_are_right(tmp_path: Path) -> None:
    costs = warp_costs(tmp_path, (160, 106), 20.0, "EPSG:4326", 1)
    assert [one.way for one in costs.ways] == [OURS, *GDAL]
    assert all(one.cpu_s > 0.0 for one in costs.ways)
    assert costs.ways[0].ratio == 1.0
    assert list(tmp_path.iterdir()) == []
    camera = nadir_camera(tilt_deg=20.0)
    dense, four = (control_points(camera, per_side) for per_side in (17, 2))
    assert worst_px(camera, dense, "GCP_TPS") < 1.0 < worst_px(camera, four, "GCP_POLYNOMIAL")


def test_the_page_has_every_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exports, "format_costs", partial(format_costs, command=here))
    monkeypatch.setattr(exports, "WARPED", ((0.0, "EPSG:4326"),))
    few = ["--formats", "csv", "--sizes", "2,3", "--frames", "3", "--catalogue", "300"]
    arguments = [*few, "--photo", "64x48", "--tries", "1"]
    assert exports.main([*arguments, "--folder", str(tmp_path), "--out", str(tmp_path / "o")]) == 0
    page = capsys.readouterr().out
    (written,) = (tmp_path / "o").iterdir()
    assert written.read_text(encoding="utf-8").strip() == page.strip()
    assert re.search(r"\| csv --table frames \| 3 \| 1 \|", page)
    assert f"| {next(iter(GDAL))} |" in page
    assert re.search(r"\| coverage by all \| 1 \|", page)
    assert re.search(r"\| best frame of each place and month \| \d\d+ \|", page)
