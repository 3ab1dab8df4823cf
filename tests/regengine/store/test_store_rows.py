"""Results go into the store and come back the same."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.result import FrameResult
from regengine.store.rows import StoredFrame, from_tables, join, to_tables
from tests.example_results import hypothesis as make_hypothesis
from tests.example_results import nothing_found, proposal


def stored(index: int, result: FrameResult) -> StoredFrame:
    return StoredFrame(
        frame_index=index,
        result=result,
        parameters='{"seed": 0}',
        parameters_sha256="ab" * 32,
        processed_utc="2026-01-02T03:04:05Z",
    )


@pytest.mark.parametrize(
    "result",
    [
        proposal(),
        proposal(verdict="review"),
        nothing_found(),
        replace(nothing_found(), width_px=None, height_px=None, sha256="", verdict="failed"),
        replace(proposal(), footprint=(None, None, None, None)),
    ],
)
def test_a_result_comes_back_as_it_was(result: FrameResult) -> None:
    assert from_tables(to_tables([stored(3, result)])) == [stored(3, result)]


@given(
    lon=st.floats(-180, 180, allow_nan=False),
    lat=st.floats(-90, 90, allow_nan=False),
    name=st.text(st.characters(exclude_characters="\0"), max_size=12),
)
def test_minus_one_degree_and_odd_names_are_no_missing_values(
    lon: float, lat: float, name: str
) -> None:
    shifted = replace(make_hypothesis(0), centre_lon=lon, centre_lat=-1.0)
    result = replace(
        proposal(),
        camera_body=name or None,
        probability=0.0,
        footprint=((lon, lat), None, (-1.0, -1.0), (0.0, 0.0)),
        hypotheses=(shifted,),
    )
    back = from_tables(to_tables([stored(0, result)]))[0].result
    if "\\ud" not in (back.camera_body or ""):  # lone surrogates are spelt out
        assert back == result


def test_a_reason_never_takes_two_lines() -> None:
    result = proposal(verdict="review")
    broken = replace(result, reasons=(replace(result.reasons[0], text="one\n two"),))
    back = from_tables(to_tables([stored(0, broken)]))[0].result
    assert [reason.text for reason in back.reasons] == ["one two"]


def test_missing_values_look_as_documented() -> None:
    frames = to_tables([stored(0, nothing_found())])["frames"]
    assert math.isnan(frames["probability"][0])
    assert frames["matched_lights"][0] == -1
    assert frames["category"][0] == ""
    assert np.isnan(frames["quaternion"]).all()
    assert np.isnan(frames["footprint_lon"]).all()


def test_the_centre_is_what_the_middle_pixel_sees() -> None:
    frames = to_tables([stored(0, proposal())])["frames"]
    assert frames["centre_lon"][0] == pytest.approx(136.9, abs=1e-4)
    assert frames["centre_lat"][0] == pytest.approx(35.7, abs=1e-4)


def with_detections(**arrays: object) -> FrameResult:
    result = proposal()
    object.__setattr__(result, "detections", SimpleNamespace(**arrays))
    return result


def test_detections_are_stored_where_a_result_has_them() -> None:
    result = with_detections(
        x=np.array([1.5, 2.0]),
        y=np.array([3.0, 4.0]),
        flux=np.array([9.0, 8.0]),
        snr=np.array([20.0, 10.0]),
        radius_px=np.array([1.0, 2.0]),
        covariance_px2=np.array([[[1.0, 2.0], [2.0, 3.0]], [[4.0, 5.0], [5.0, 6.0]]]),
        flags=np.array([0, 3], np.uint8),
    )
    table = to_tables([stored(7, result)])["detections"]
    assert table["frame_index"].tolist() == [7, 7]
    assert table["kind"].tolist() == ["light", "light"]
    assert table["x"].tolist() == [1.5, 2.0]
    assert table["covariance_px"].tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert table["flags"].tolist() == [0, 3]
    assert np.isnan(table["contrast"]).all()


def test_detections_without_all_measures_are_stored_too() -> None:
    result = with_detections(
        x=np.array([1.5]), y=np.array([3.0]), contrast=np.array([0.2]), matched=np.array([True])
    )
    table = to_tables([stored(0, result)])["detections"]
    assert (table["contrast"].tolist(), table["matched"].tolist()) == ([0.2], [1])
    assert np.isnan(table["covariance_px"]).all()


def test_later_tables_replace_frames_and_all_their_rows() -> None:
    first = to_tables([stored(0, proposal("a")), stored(2, proposal("c")), stored(1, proposal())])
    second = to_tables([stored(1, nothing_found("b"))])
    joined = join([first, second])
    assert joined["frames"]["frame"].tolist() == ["a", "b", "c"]
    assert joined["control_points"]["frame_index"].tolist() == [0] * 4 + [2] * 4
    assert joined["control_points"]["point"].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert from_tables(joined)[1] == stored(1, nothing_found("b"))
