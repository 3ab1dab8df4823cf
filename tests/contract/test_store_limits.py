"""What a store may hold: a value at its limit is sound, one just beyond is told by its code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from matchers.geometry.earth import geodetic_to_ecef
from tests.world.program import run
from tests.world.results import nothing_found, proposal
from tests.world.stores import make_results, write_store


def after(value: float) -> float:
    """The next number away from zero."""
    return float(np.nextafter(value, np.copysign(np.inf, value)))


def before(value: float) -> float:
    return float(np.nextafter(value, 0.0))


def at_height(km: float) -> tuple[float, ...]:
    return tuple(geodetic_to_ecef(136.9, 35.7, 1e3 * km).tolist())


TINY = 5e-324
FIRST_4, FIRST_2 = slice(0, 4), slice(0, 2)
LOW, HIGH = at_height(50.001), at_height(1999.999)
TOO_LOW, TOO_HIGH = at_height(49.999), at_height(2000.001)


# Column, rows among those of its frame, values that it may have and may not, what tells the latter.
# Frames have a proposal, but for those of columns marked with a star
LIMITS: list[tuple[str, Any, Sequence[Any], Sequence[Any], str]] = [
    ("frames/probability", 0, [], [0.0, 1.0, np.nan], "probability"),
    ("frames/probability_low", 0, [0.9997], [after(0.9997)], "probability"),
    ("frames/probability_high", 0, [0.9997], [before(0.9997)], "probability"),
    ("frames/probability*", 0, [TINY, before(1.0)], [0.0, 1.0], "probability"),
    ("frames/category_probability", 0, [0.0, 1.0], [-TINY, after(1.0)], "category_probability"),
    ("frames/orientation", 0, [1, 8], [0, 9], "orientation"),
    ("frames/width_px*", 0, [-1, 1], [0, -2], "width_px"),
    ("frames/width_px", 0, [541], [540], "point_outside"),
    ("frames/nadir_lat", 0, [-90.0, 90.0], [after(90.0), after(-90.0)], "nadir_lat"),
    ("frames/nadir_lat", 0, [], [np.nan], "nadir_place"),
    ("frames/centre_lon", 0, [-180.0, before(180.0)], [180.0, after(-180.0)], "centre_lon"),
    ("frames/footprint_lon", 0, [(-180.0, before(180.0), np.nan, 136.0)],
     [(136.0, 180.0, np.nan, 136.0), (136.0, after(-180.0), np.nan, 136.0)], "footprint_lon"),
    ("frames/footprint_lat", 0, [], [(0.0, 0.0, 0.0, 0.0)], "footprint_place"),
    ("frames/footprint_diagonal_km", 0, [TINY], [0.0, np.nan], "no_ground"),
    ("frames/focal_px", 0, [TINY], [0.0, np.nan], "camera"),
    ("frames/principal_point", 0, [(-1.0, 0.0)], [(0.0, np.nan)], "camera"),
    ("frames/position_ecef_m", 0, [LOW, HIGH], [TOO_LOW, TOO_HIGH], "camera_height"),
    ("frames/quaternion", 0, [(0, 0, 0, 1 + 9e-7), (0, 0, 0, 9e-7 - 1)],
     [(0, 0, 0, 1 + 1.1e-6), (0, 0, 0, 1 - 1.1e-6)], "camera"),
    ("frames/reasons", 0, [b""], [b"low_margin"], "reasons"),
    ("frames/reason_values*", 0, [b'[{"message": "One."}]'],
     [b"[]", b"[{}, {}]"], "reasons"),
    ("frames/reason_values*", 0, [], [b"{}", b"[1]", b"["], "reason_values"),
    ("frames/reason_texts*", 0, [b"One."], [b"One.\nTwo.", b""], "reasons"),
    ("frames/sha256", 0, [b"", b"aB" * 32], [b"a" * 63, b"g" * 64], "sha256"),
    ("frames/time_utc", 0, [b"", b"2012-02-29T23:59:59Z"], [b"2012-02-30T00:00:00Z"], "time_utc"),
    ("frames/verdict*", 0, [b"failed"], [b"", b"perhaps"], "verdict"),
    ("frames/frame", 0, ["Größe".encode()], [b"\xff"], "not_utf8"),
    ("frames/ncc", 0, [-7.0, np.nan], [np.inf, -np.inf], "infinite"),
    ("control_points/x", 0, [-0.5, 639.5], [after(-0.5), after(639.5)], "point_outside"),
    ("control_points/y", 3, [-0.5, 425.5], [after(-0.5), after(425.5)], "point_outside"),
    ("control_points/sigma_m", 0, [TINY], [0.0], "sigma_m"),
    ("control_points/sigma_m", 3, [], [np.nan], "missing"),
    ("control_points/lights", 0, [0], [-1], "lights"),
    ("control_points/lon", 0, [-180.0, before(180.0)], [180.0, after(-180.0)], "lon"),
    ("control_points/lat", 0, [-90.0, 90.0], [after(90.0), after(-90.0)], "lat"),
    ("control_points/covariance_px", 0, [(4, 6, 9), (4, -6, 9)],
     [(4, 6, before(9.0)), (0, 0, 1), (1, 0, 0)], "point_covariance_px"),
    ("control_points/covariance_m", 3, [(4, 6, 9)], [(4, -6.1, 9), (-1, 0, -1)],
     "point_covariance_m"),
    ("control_points/point", FIRST_4, [(0, 1, 2, 3)], [(1, 2, 3, 4), (0, 1, 3, 2)],
     "point_number"),
    ("frames/pixel_aspect", 0, [np.nan, TINY, 1.5], [0.0, -1.5], "pixel_aspect"),
    ("hypotheses/pixel_aspect", 1, [np.nan, 1.5], [0.0, -1.5], "pixel_aspect"),
    ("hypotheses/position_ecef_m", 1, [LOW, HIGH], [TOO_LOW, TOO_HIGH], "camera_height"),
    ("hypotheses/quaternion", 0, [(1, 0, 0, 0)], [(1, 1, 0, 0)], "camera"),
    ("hypotheses/rank", FIRST_2, [(0, 1)], [(1, 2), (0, 0)], "rank"),
    ("provenance/search_pass", 0, [0, 4], [5], "search_pass"),
    ("provenance/sources", 0, [b"{}"], [b"[]", b"{"], "sources"),
    ("provenance/processed_utc", 0, [b""], [b"today"], "processed_utc"),
]  # fmt: skip


def frames_with(path: Path, changes: Sequence[tuple[str, Any, Any]]) -> Path:
    """A store of a frame for each change."""
    made = [
        nothing_found(f"ISS030-E-{n}") if "*" in change[0] else proposal(f"ISS030-E-{n}")
        for n, change in enumerate(changes)
    ]
    write_store(path, made)
    with h5py.File(path, "r+") as file:
        for frame, (name, rows, value) in enumerate(changes):
            group, _, column = name.rstrip("*").partition("/")
            first = int(np.searchsorted(file[f"{group}/frame_index"][:], frame))
            at = slice(first + rows.start, first + rows.stop) if isinstance(rows, slice) else None
            file[f"{group}/{column}"][first + rows if at is None else at] = value
    return path


def problems(path: Path) -> list[dict[str, Any]]:
    said = run("verify", path, "--json")
    (record,) = said.records
    assert record["sound"] == (not record["problems"]) == (said.code == 0)
    return list(record["problems"])


def test_values_at_their_limits_are_sound(tmp_path: Path) -> None:
    right = [(name, rows, value) for name, rows, values, _, _ in LIMITS for value in values]
    assert problems(frames_with(tmp_path / "run.h5", right)) == []


def test_each_value_beyond_a_limit_is_told_by_its_code_and_of_its_frame(tmp_path: Path) -> None:
    wrong = [(name, rows, one, code) for name, rows, _, some, code in LIMITS for one in some]
    wrong.sort(key=lambda one: one[3])
    told: dict[int, set[str]] = {number: set() for number in range(len(wrong))}
    parts = 3  # of each kind the first three frames are named: no more of one kind in a store
    for part in range(parts):
        some = [(name, rows, value) for name, rows, value, _ in wrong[part::parts]]
        for problem in problems(frames_with(tmp_path / f"{part}.h5", some)):
            for number in problem["frame_index"]:
                told[part + parts * number].add(problem["code"])
    wrongly = {
        (name, str(value), *told[n])
        for n, (name, _, value, code) in enumerate(wrong)
        if told[n] != {code}
    }
    assert wrongly == set()


def test_the_first_three_frames_are_named_and_all_are_counted(tmp_path: Path) -> None:
    """Rows are counted: of each frame two control points here."""
    wrong = [("control_points/sigma_px", slice(1, 3), (-1, 0))] * 4
    store = frames_with(tmp_path / "run.h5", wrong)
    (problem,) = problems(store)
    assert (problem["code"], problem["count"]) == ("sigma_px", 8)
    assert problem["frame_index"] == [0, 1, 2]
    assert problem["text"] == (
        f"{store}: 8 values of control_points/sigma_px are invalid (frame_index 0, 1, 2 …)."
    )


def test_layout_that_is_not_as_the_format_says_is_told_thing_by_thing(tmp_path: Path) -> None:
    store = frames_with(tmp_path / "run.h5", [("frames/ncc", 0, 0.5)] * 3)
    with h5py.File(store, "r+") as file:
        del file.attrs["created"]
        file.attrs["command_line"] = "regengine\n"
        file.attrs["package_versions"] = "[]"
        file["frames/ncc"].attrs["units"] = "m"
        del file["frames/residual_m"]
        for name, values in (
            ("frames/focal_mm", np.zeros(3, np.float32)),
            ("frames/principal_point", np.zeros((3, 3))),
            ("provenance/seconds", np.zeros(2)),
        ):
            units = file[name].attrs["units"]
            del file[name]
            file[name] = values
            file[name].attrs["units"] = units
    found = [(one["code"], one["count"], tuple(one["frame_index"])) for one in problems(store)]
    assert Counter(found) == {
        ("attribute_missing", 1, ()): 1,
        ("attribute_wrong", 1, ()): 3,
        ("column_missing", 1, ()): 1,
        ("column_wrong", 1, ()): 2,
        ("lengths_differ", 1, ()): 1,
    }


def resize(name: str, by: int) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        columns = file[name].values() if isinstance(file[name], h5py.Group) else [file[name]]
        for column in columns:
            column.resize(len(column) + by, axis=0)

    return edit


def put(name: str, row: int, value: object) -> Callable[[h5py.File], None]:
    return lambda file: file[name].__setitem__(row, value)


# How a store of six frames is changed, every second without a proposal, and what tells it
CHANGES = [
    ("lose a point", resize("control_points", -1), "control_points"),
    ("lose settings", resize("provenance", -1), "provenance"),
    ("a number twice", put("frames/frame_index", 1, 0), "damaged"),
    ("a number below 0", put("frames/frame_index", 0, -1), "frame_index"),
    ("points out of order", put("control_points/frame_index", 0, 5), "order"),
    ("a camera of no frame", put("hypotheses/frame_index", -1, 9), "orphan"),
    ("accepted of nothing", put("frames/verdict", 1, b"accepted"), "control_points"),
    ("failed with points", put("frames/verdict", 0, b"failed"), "control_points"),
    ("a light outside", put("detections/y", 0, 426.0), "detection_outside"),
]


@pytest.mark.parametrize(
    ("edit", "code"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES]
)
def test_what_is_wrong_with_rows_and_columns_is_told(
    tmp_path: Path, edit: Callable[[h5py.File], None], code: str
) -> None:
    made = [nothing_found(f"f{n}") if n % 2 else proposal(f"f{n}") for n in range(6)]
    lit = make_results()[0].detections
    store = write_store(tmp_path / "run.h5", [replace(made[0], detections=lit), *made[1:]])
    assert problems(store) == []
    with h5py.File(store, "r+") as file:
        edit(file)
    found = problems(store)
    assert code in {problem["code"] for problem in found}
    assert all(p["text"].startswith(f"{store}") and "\n" not in p["text"] for p in found)


def test_a_bit_that_flips_is_found_in_every_column(store_copy: Path) -> None:
    """One at a time, somewhere in the packed bytes of a column of each group."""
    chance = np.random.default_rng(1)
    with h5py.File(store_copy) as file:
        places = [
            (f"{group}/{name}", dataset.id.get_chunk_info(0))
            for group in file
            for name, dataset in [list(file[group].items())[int(chance.integers(3))]]
        ]
    content = store_copy.read_bytes()
    for name, chunk in places:
        flipped = bytearray(content)
        at = chunk.byte_offset + int(chance.integers(chunk.size))
        flipped[at] ^= 1 << int(chance.integers(8))
        store_copy.write_bytes(flipped)
        (problem,) = problems(store_copy)
        assert problem["code"] == "bytes_damaged"
        assert f"column {name} is damaged" in problem["text"]
    assert "damaged store" in run("report", store_copy, "--json").err
