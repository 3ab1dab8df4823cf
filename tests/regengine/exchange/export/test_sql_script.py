"""SQL without a server: options, batches, what is written of odd frames, the same bytes again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from regengine.exchange.export.formats.sql import Script
from regengine.exchange.export.frame import ExportFrame, engine_frame
from regengine.exchange.export.sql.columns import comment_of, photo_key, unit_of
from regengine.exchange.export.sql.dialects import DIALECTS, Dialect
from regengine.exchange.export.viewing import bearings, compass
from regengine.store.rows import StoredFrame
from tests.example_results import nadir_camera, nothing_found, proposal
from tests.regengine.exchange.export.exported import export, try_export, write_store

BOTH = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=["mysql", "postgresql"])


def frame(name: str = "a", **changes: object) -> ExportFrame:
    stored = StoredFrame(frame_index=0, result=proposal(name))
    return replace(engine_frame(stored, Path("run.h5")), **changes)  # type: ignore[arg-type]


def test_sql_is_asked_for_which_server(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.sql"
    for words in (
        ["sql", out],
        ["sql", out, "--dialect", "oracle"],
        ["csv", tmp_path / "a.csv", "--dialect", "mysql"],
    ):
        result = try_export(store, *words)  # type: ignore[arg-type]
        assert result.exit_code == 2
        assert len(result.stderr.strip().splitlines()) == 1
        assert "--dialect" in result.stderr
    assert list(tmp_path.iterdir()) == []
    assert try_export(store, "sql", tmp_path / "a.txt", "--dialect", "mysql").exit_code == 2


@pytest.mark.parametrize("name", ["mysql", "postgresql"])
def test_the_same_store_gives_the_same_bytes(name: str, store: Path, tmp_path: Path) -> None:
    for out in ("a.sql", "b.sql"):
        export(store, "sql", tmp_path / out, "--dialect", name, "--verdict", "all")
    assert (tmp_path / "a.sql").read_bytes() == (tmp_path / "b.sql").read_bytes()


@pytest.mark.parametrize("name", ["mysql", "postgresql"])
def test_a_store_without_frames_gives_empty_tables(name: str, tmp_path: Path) -> None:
    store = write_store(tmp_path / "s.h5", [nothing_found()])
    export(store, "sql", tmp_path / "a.sql", "--dialect", name)
    text = (tmp_path / "a.sql").read_text(encoding="utf-8")
    assert "CREATE TABLE" in text
    assert "INSERT" not in text
    assert text.count("BEGIN;") == text.count("COMMIT;") == 1


@BOTH
def test_columns_have_names_once_and_comments_of_a_length_that_servers_take(
    dialect: Dialect,
) -> None:
    for table in (dialect.photos, *dialect.parts):
        names = [column.name for column in table.columns]
        assert len(set(names)) == len(names)
        assert all(name.isidentifier() and name == name.lower() for name in names)
        comments = [comment_of(column) for column in table.columns]
        assert all(0 < len(comment) < 1024 and "\\" not in comment for comment in comments)


def test_units_are_told_where_there_are_some() -> None:
    expected = {
        "off_nadir_deg": "degrees",
        "camera_altitude_km": "km",
        "ecef_x_m": "m",
        "principal_x": "px",
        "covariance_m_en": "square m",
        "focal_mm": "mm",
        "lon": "degrees",
        "frame": "",
        "log10_odds": "",
        "time_utc": "UTC",
    }
    assert {name: unit_of(name) for name in expected} == expected


@BOTH
def test_few_frames_wait_in_memory(dialect: Dialect) -> None:
    waiting = most = 0

    class Stream:
        def write(self, text: str) -> None:
            nonlocal waiting
            waiting = 0

    def frames() -> Iterator[ExportFrame]:
        nonlocal waiting, most
        for _ in range(3):
            for number in range(10):
                waiting += 1
                most = max(most, waiting)
                yield frame(f"{number}", camera=None, points=())

    Script(Stream(), dialect).write(frames())  # type: ignore[arg-type]
    assert most == 11  # the first of a batch comes before the last batch is written


@BOTH
@pytest.mark.parametrize(
    "change",
    [
        {"position_ecef_m": (0.0, 0.0, 0.0)},
        {"quaternion": (0.0, 0.0, 0.0, 0.0)},
        {"quaternion": (float("nan"),) * 4},
        {"distortion": (1e6, -1e9, 0.0, 0.0, 1e12)},
        {"focal_px": float("nan")},
    ],
    ids=str,
)
def test_a_damaged_camera_costs_its_own_columns_alone(
    dialect: Dialect, change: dict[str, object]
) -> None:
    camera = replace(nadir_camera(), **change)  # type: ignore[arg-type]
    lines: list[str] = []

    class Stream:
        def write(self, text: str) -> None:
            lines.append(text)

    Script(Stream(), dialect).write(iter([frame("bad", camera=camera), frame("good")]))  # type: ignore[arg-type]
    text = "".join(lines)
    assert "'bad'" in text
    assert "'good'" in text
    assert "nan" not in text[text.index("INSERT") :].replace("dominant", "")


def test_keys_tell_photos_apart() -> None:
    one = frame("a")
    other_bytes = replace(
        one, stored=replace(one.stored, result=replace(one.result, sha256="0" * 64))
    )
    moved = replace(one, stored=replace(one.stored, result=replace(one.result, path="b/a.jpg")))
    assert len({photo_key(one), photo_key(other_bytes), photo_key(frame("b"))}) == 3
    assert photo_key(moved) == photo_key(one)


def turned(degrees: float, tilt_deg: float = 0.0, *, lat: float = 35.7) -> ExportFrame:
    """A photo whose picture's top points to a bearing, and which leans that way."""
    from scipy.spatial.transform import Rotation

    from matchers.earth import local_axes

    camera = nadir_camera(10.0, lat, tilt_deg=tilt_deg)
    up = local_axes(10.0, lat)[2]
    about = Rotation.from_rotvec(-up * degrees, degrees=True)
    quaternion = (about * Rotation.from_quat(camera.quaternion)).as_quat()
    return frame(camera=replace(camera, quaternion=tuple(quaternion.tolist())))


@pytest.mark.parametrize("bearing", [0.0, 47.0, 90.0, 180.0, 265.0, 359.9])
@pytest.mark.parametrize("tilt_deg", [0.5, 25.0, 55.0])
def test_orientation_is_which_way_is_up(bearing: float, tilt_deg: float) -> None:
    camera = turned(bearing, tilt_deg).camera
    assert camera is not None
    found = bearings(camera)
    assert found.up_deg is not None
    # Meridians converge between the nadir and a centre that is seen far away
    assert abs((found.up_deg - bearing + 180.0) % 360.0 - 180.0) < (0.1 if tilt_deg < 1 else 6.0)
    assert abs((found.look_deg - bearing + 180.0) % 360.0 - 180.0) < 1e-6
    assert found.off_nadir_deg == pytest.approx(tilt_deg, abs=1e-5)
    seen = "down" if tilt_deg < 5.0 else compass(bearing)
    assert found.words == f"{compass(found.up_deg)} up, looking {seen}"


def test_a_mirrored_picture_and_one_of_the_sky_are_told_from_others() -> None:
    camera = turned(90.0, 30.0).camera
    assert camera is not None
    mirrored = bearings(replace(camera, mirrored=True))
    assert mirrored.up_deg == pytest.approx(bearings(camera).up_deg)
    sky = turned(90.0, 100.0).camera
    assert sky is not None
    assert bearings(sky).up_deg is None
    assert bearings(sky).words == "looking east"
