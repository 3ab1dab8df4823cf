"""A time-lapse with a wrong clock, from the files to the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from shared_frames import BEHIND_S, SAMPLES, facts_of, photograph, register

from benchmarks.simulate.camera import SimCamera
from regengine.batch.run import BatchOptions, run_batch
from regengine.pipeline import RunInputs, facts_of_photo
from regengine.registration.neighbour_priors import SOURCE, lesson_of, neighbour_prior
from regengine.result import FrameResult
from regengine.store.snapshot import read_store
from regengine.store.writer import StoreWriter
from tests.example_results import proposal


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """The machine is shared: threads only wait for each other."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[SimCamera]]:
    """The photos, and their true cameras."""
    return photograph(tmp_path_factory.mktemp("lapse"))


@pytest.mark.slow
def test_a_hard_frame_is_solved_with_its_neighbours_and_not_alone(
    taken: tuple[list[Path], list[SimCamera]], tmp_path: Path
) -> None:
    photos, cameras = taken
    assert register(photos[1]).verdict != "accepted"
    options = BatchOptions(parameters="{}", parameters_sha256="p", workers=0, facts_of=facts_of)
    reported: list[FrameResult] = []
    with StoreWriter(tmp_path / "run.h5") as writer:
        run_batch(photos, register, writer, options, reported.append)
    results = {Path(r.path).name: r for r in reported}
    for path, truth in zip(photos, cameras, strict=True):
        result = results[path.name]
        assert result.verdict == "accepted", path.name
        assert result.solved is not None
        # Two seconds are 15 km along the track, which a tilt of two degrees undoes
        assert result.solved.along_track_offset_s == pytest.approx(BEHIND_S, abs=2.0)
        middle = truth.width_px / 2.0, truth.height_px / 2.0
        lon, lat, _ = truth.ground([middle[0]], [middle[1]])
        x, y = result.solved.camera.lonlat_to_pixel(lon, lat)
        assert np.hypot(x - middle[0], y - middle[1]) < 3.0
    stored = {s.result.frame: dict(s.result.sources) for s in read_store(tmp_path / "run.h5")}
    assert SOURCE not in stored["lapse_1"]
    assert stored["lapse_2_hard"][SOURCE] == "with clock and lens of lapse_1, neighbour lapse_1"


@pytest.mark.slow
def test_a_second_search_in_vain_leaves_the_picture_of_the_first(
    taken: tuple[list[Path], list[SimCamera]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The overlay shows the result that stands."""
    from regengine import pipeline

    drawn: list[FrameResult] = []
    monkeypatch.setattr(pipeline, "draw_result", lambda result, *_, **__: drawn.append(result))
    review = replace(proposal(verdict="review"), probability=0.4)
    monkeypatch.setattr(pipeline, "register_frame", lambda *_: review)
    photos, _ = taken
    inputs = RunInputs(
        lights=(SAMPLES / "lights.tif",), tle=SAMPLES / "tle.txt", overlays=tmp_path / "o"
    )
    facts, lesson = facts_of_photo(photos[0], inputs), lesson_of(proposal())
    assert facts is not None
    assert lesson is not None
    near = replace(facts, time_utc=lesson.facts.time_utc)
    hints = neighbour_prior(near, [lesson])
    for beat, pictures in ((None, 1), (0.3, 2), (0.5, 2)):
        assert hints is not None
        result = pipeline.process_photo(photos[0], inputs, replace(hints, beat=beat))
        assert len(drawn) == pictures
        assert SOURCE in dict(result.sources)
