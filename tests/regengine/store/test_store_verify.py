"""Verification: sound stores are sound, and every kind of damage is found and named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from regengine.result import DetectedLights
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter
from tests.example_results import nothing_found, proposal
from tests.world.program import run

FRAMES = 6


def stored(index: int) -> StoredFrame:
    """Proposals under even numbers, with lights in the corners of the image."""
    if index % 2:
        return StoredFrame(frame_index=index, result=nothing_found(f"f{index}"))
    lights = DetectedLights(
        x=np.array([-0.5, 639.5]),
        y=np.array([-0.5, 425.5]),
        contrast=np.array([1.0, 2.0]),
        matched=np.array([0, 1], np.uint8),
    )
    result = proposal(f"f{index}", verdict="review" if index % 4 else "accepted")
    return StoredFrame(frame_index=index, result=replace(result, detections=lights))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "run.h5"
    with StoreWriter(path) as writer:
        for index in range(FRAMES):
            writer.add(stored(index))
        writer.flush()
    return path


@pytest.fixture(scope="module")
def roomy(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with room for wrong texts."""
    store = Path(shutil.copy(sound, tmp_path_factory.mktemp("roomy")))
    with h5py.File(store, "r+") as file:
        for name in ("frames/category", "provenance/processed_utc"):
            values, attributes = file[name][()], dict(file[name].attrs)
            del file[name]
            file.create_dataset(name, data=values.astype("S9"), maxshape=(None,), chunks=(9,))
            file[name].attrs.update(attributes)
    assert codes(store) == set()
    return store


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "run.h5"))


def verified(path: Path) -> dict[str, Any]:
    """What ``regengine verify`` says of a store."""
    said = run("verify", path, "--json")
    (record,) = said.records
    assert said.code == (1 if record["problems"] else 0)
    return record


def codes(path: Path) -> set[str]:
    return {problem["code"] for problem in verified(path)["problems"]}


def test_the_journal_is_checked_too(tmp_path: Path) -> None:
    path, journal = tmp_path / "run.h5", tmp_path / "run.h5.journal"
    with StoreWriter(path) as writer:
        for index in range(FRAMES):
            writer.add(stored(index))
            writer.flush()
        found = verified(path)
        told = (found["frames"], found["unmerged_frames"], found["problems"])
        assert told == (FRAMES, FRAMES, [])

        beyond = stored(2)
        point = replace(beyond.result.control_points[0], x=700.0)
        points = (point, *beyond.result.control_points[1:])
        writer.add(replace(beyond, result=replace(beyond.result, control_points=points)))
        writer.flush()
        (problem,) = verified(path)["problems"]
        assert (problem["code"], problem["file"]) == ("point_outside", str(journal))
        assert (problem["count"], problem["frame_index"]) == (1, [2])
        assert "run.h5.journal: 1 control points are outside their frame" in problem["text"]
        writer.add(stored(2))
        writer.flush()

        lines = journal.read_bytes().splitlines(keepends=True)
        changed = lines[1][:60] + bytes([lines[1][60] ^ 1]) + lines[1][61:]
        journal.write_bytes(b"".join([lines[0], changed, *lines[2:]]))
        found = verified(path)
        assert found["frames"] == FRAMES - 1
        assert [problem["code"] for problem in found["problems"]] == ["bytes_damaged"]
        journal.write_bytes(b"".join(lines))
    assert verified(path)["unmerged_frames"] == 0
    assert not journal.exists()


def put(name: str, row: int, value: object) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        file[name][row] = value

    return edit


def drop(name: str) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        del file[name]

    return edit


def shorten(name: str) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        file[name].resize(len(file[name]) - 1, axis=0)

    return edit


def lose_last_row(group: str) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        for dataset in file[group].values():
            dataset.resize(len(dataset) - 1, axis=0)

    return edit


def retype(name: str) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        values, attributes = file[name][()], dict(file[name].attrs)
        del file[name]
        file.create_dataset(name, data=values.astype("float32"))
        file[name].attrs.update(attributes)

    return edit


def attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        target, _, key = name.rpartition("@")
        file[target or "/"].attrs[key] = value

    return edit


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (drop("detections"), "column_missing"),
        (drop("frames/verdict"), "column_missing"),
        (drop("provenance/search_pass"), "column_missing"),
        (retype("frames/probability"), "column_wrong"),
        (shorten("frames/ncc"), "lengths_differ"),
        (attribute("@created", "yesterday"), "attribute_wrong"),
        (attribute("@package_versions", "{"), "attribute_wrong"),
        (attribute("@command_line", 3), "attribute_missing"),
        (attribute("@format_version", 0), "attribute_wrong"),
        (attribute("frames/focal_px@units", "mm"), "attribute_wrong"),
        (put("frames/frame_index", 1, 0), "damaged"),
        (put("frames/frame_index", 0, -1), "frame_index"),
        (put("control_points/frame_index", 0, 5), "order"),
        (put("hypotheses/frame_index", -1, 9), "orphan"),
        (put("frames/verdict", 1, b"perhaps"), "verdict"),
        (put("frames/verdict", 1, b"accepted"), "control_points"),
        (put("frames/verdict", 0, b"failed"), "control_points"),
        (lose_last_row("control_points"), "control_points"),
        (lose_last_row("provenance"), "provenance"),
        (put("frames/probability", 0, 1.0), "probability"),
        (put("frames/probability", 0, 0.0), "probability"),
        (put("frames/probability", 0, NAN), "probability"),
        (put("frames/category_probability", 0, 1.01), "category_probability"),
        (put("frames/sha256", 1, b"xyz"), "sha256"),
        (put("frames/time_utc", 0, b"noon"), "time_utc"),
        (put("frames/orientation", 0, 9), "orientation"),
        (put("frames/width_px", 1, 0), "width_px"),
        (put("frames/category", 0, b"\xff"), "not_utf8"),
        (put("frames/nadir_lon", 0, 180.0), "nadir_lon"),
        (put("frames/centre_lat", 0, 90.5), "centre_lat"),
        (put("frames/footprint_lat", 0, [NAN, 0.0, 0.0, 0.0]), "footprint_place"),
        (put("frames/reasons", 2, b"low_margin"), "reasons"),
        (put("frames/ncc", 3, INFINITE), "infinite"),
        (put("frames/quaternion", 0, [0.0, 0.0, 0.0, 0.9]), "camera"),
        (put("frames/focal_px", 0, NAN), "camera"),
        (put("hypotheses/position_ecef_m", 0, [NAN, 0.0, 0.0]), "camera"),
        (put("hypotheses/rank", 1, 0), "rank"),
        (put("control_points/point", 2, 3), "point_number"),
        (put("control_points/x", 0, 639.6), "point_outside"),
        (put("control_points/y", 0, -0.6), "point_outside"),
        (put("control_points/x", 0, NAN), "point_outside"),
        (put("control_points/lon", 0, 180.0), "lon"),
        (put("control_points/lat", 0, NAN), "missing"),
        (put("control_points/sigma_m", 0, 0.0), "sigma_m"),
        (put("control_points/covariance_px", 0, [1.0, 2.0, 1.0]), "point_covariance_px"),
        (put("control_points/lights", 0, -1), "lights"),
        (put("detections/y", 0, 426.0), "detection_outside"),
        (put("provenance/parameters", 0, b"["), "parameters"),
        (put("provenance/sources", 0, b"[]"), "sources"),
        (put("provenance/processed_utc", 0, b"."), "processed_utc"),
        (put("provenance/search_pass", 0, 5), "search_pass"),
    ],
)
def test_what_is_wrong_is_found(
    roomy: Path, tmp_path: Path, edit: Callable[[h5py.File], None], code: str
) -> None:
    store = Path(shutil.copy(roomy, tmp_path / "run.h5"))
    with h5py.File(store, "r+") as file:
        edit(file)
    problems = verified(store)["problems"]
    assert code in {problem["code"] for problem in problems}
    for problem in problems:
        assert problem["text"].startswith(f"{store}")
        assert "\n" not in problem["text"]


def test_a_photo_that_is_stored_twice_is_found(store: Path) -> None:
    with h5py.File(store, "r+") as file:
        for name in ("path", "sha256"):
            file["frames"][name][4] = file["frames"][name][2]
    (problem,) = verified(store)["problems"]
    assert (problem["code"], problem["frame_index"]) == ("identity", [4])


@pytest.mark.parametrize(
    "group", ["frames", "control_points", "hypotheses", "detections", "provenance"]
)
def test_a_bit_that_flips_is_found_in_every_column(store: Path, group: str) -> None:
    """One at a time, somewhere in the packed bytes of each column."""
    chance = np.random.default_rng(1)
    with h5py.File(store) as file:
        places = {
            name: (chunk.byte_offset, chunk.size)
            for name, dataset in file[group].items()
            for chunk in [dataset.id.get_chunk_info(0)]
        }
    content = store.read_bytes()
    for name in chance.choice(sorted(places), size=3, replace=False).tolist():
        offset, size = places[name]
        flipped = bytearray(content)
        flipped[offset + int(chance.integers(size))] ^= 1 << int(chance.integers(8))
        store.write_bytes(flipped)
        found = verified(store)["problems"]
        assert [problem["code"] for problem in found] == ["bytes_damaged"]
        assert f"column {group}/{name} is damaged" in found[0]["text"]
