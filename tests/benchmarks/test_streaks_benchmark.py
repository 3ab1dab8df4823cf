"""The streak benchmark tells good methods from bad ones, and goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import streaks
from benchmarks.simulate.streak_frames import paper_frame
from benchmarks.streaks.methods import Found, StreakMethod, star_mask, streak_methods, streak_peers
from benchmarks.streaks.real import paper_figures, paper_lines, real_frames, real_lines
from benchmarks.streaks.report import (
    ends_table,
    ideal_recall,
    look_elsewhere_sigma,
    main_table,
    matched_table,
    stratified_recall,
)
from benchmarks.streaks.run import Task, score_of
from benchmarks.trials.run import cell
from detectors.registry import STREAKS
from regengine.evaluate.streak_scores import score_streaks

NOTHING = Found(rows=np.zeros((0, 5)), width_px=np.zeros(0))


def row_of(method: str, hit: list[int], snr: list[float], false: int = 0) -> dict[str, str]:
    count = len(hit)
    columns = {
        "seed": 1,
        "size": "1024",
        "method": method,
        "cloudy": False,
        "trail_px": 0.0,
        "peak_snr": snr,
        "matched_snr": [20.0] * count,
        "length_px": [200.0] * count,
        "hit": hit,
        "end1_px": [1.0 if one else np.nan for one in hit],
        "end2_px": [3.0 if one else np.nan for one in hit],
        "false": false,
        "pieces": 0,
        "seconds": 0.5,
    }
    return {name: cell(value) for name, value in columns.items()}


def test_a_row_is_a_score_again():
    truth = np.array([[10.0, 10, 90, 10], [20, 50, 90, 90]])
    direct = score_streaks(truth, truth[:1] + 0.5, peak_snr=np.array([3.0, 0.7]), seconds=2.0)
    row = row_of("m", direct.found.astype(int).tolist(), direct.peak_snr.tolist())
    again = score_of(row)
    assert again.found.tolist() == direct.found.tolist() == [True, False]
    assert again.peak_snr.tolist() == [3.0, 0.7]
    assert again.end_error(0.5) == pytest.approx(2.0)


def test_the_table_tells_methods_apart():
    rows = {
        "good": [row_of("good", [1, 1], [0.7, 5.0])],
        "bad": [row_of("bad", [0, 0], [0.7, 5.0])],
    }
    rows["bad"][0]["false"] = "4"
    lines = main_table(rows)
    cells = {line.split(" | ")[0].strip("| "): line.split(" | ")[3] for line in lines[2:]}
    assert cells == {"good": "1.00", "bad": "0.00"}
    assert "4.00" in lines[3]
    assert "1.00 of 2" in "\n".join(matched_table(rows, 1024.0**2))


def test_ends_are_told_by_kind():
    row = row_of("m", [1, 1], [3.0, 3.0]) | {"kind": "satellite;meteor", "end1_px": "1;20"}
    row["end2_px"] = "1;30"
    assert "| m | 1.0 / 1.0 of 1 | – of 0 | 25.0 / 29.0 of 1 |" in ends_table({"m": [row]})


def test_each_cell_counts_alike():
    many = row_of("m", [0] * 9 + [1], [0.7] * 9 + [5.0])
    assert stratified_recall(score_of(many)) == 0.5


def test_the_ideal_filter_s_threshold_follows_from_chance():
    sigma = look_elsewhere_sigma(1024.0**2)
    assert 5.5 < sigma < 7.0
    assert look_elsewhere_sigma(12e6) > sigma
    assert ideal_recall(np.array([sigma, 20.0]), 1024.0**2) == pytest.approx([0.5, 1.0])


def test_a_run_continues_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    table, run = tmp_path / "rows.csv", []

    def through(indices, work, **rest):
        run.extend(indices)
        for k in indices:
            yield k, {"peak_snr": [2.0], "length_px": [100.0], "matched_snr": [30.0], "hit": [1],
                      "end1_px": [1.0], "end2_px": [1.0], "false": 0, "pieces": 0, "seconds": 1.0,
                      "cloudy": False, "trail_px": 0.0, "problem": ""}  # fmt: skip

    monkeypatch.setattr("benchmarks.streaks.run.work_through", through)
    arguments = ["--methods", "OpenCV LSD,paper-ga", "--table", str(table)]
    assert streaks.main([*arguments, "--frames", "2"]) == 0
    assert len(run) == 4
    assert streaks.main([*arguments, "--frames", "3"]) == 0
    assert len(run) == 6
    out = tmp_path / "out"
    assert streaks.main([*arguments, "--report-only", "--plot", "--out", str(out)]) == 0
    page = next(out.glob("*.md")).read_text(encoding="utf-8")
    assert "| OpenCV LSD | 3 | 3 | 1.00 |" in page
    assert str(tmp_path) not in page
    assert len(list(out.glob("*/*.png"))) == 2


def test_one_frame_goes_through_a_process(tmp_path: Path):
    table = tmp_path / "rows.csv"
    told = []
    streaks.run_tasks(
        [Task(seed=2, size="1024", method="OpenCV LSD")],
        table,
        workers=1,
        limit_s=200.0,
        tell=lambda task, columns: told.append(columns),
    )
    assert told[0]["problem"] == ""
    assert told[0]["peak_snr"].size == len(told[0]["hit"])
    assert table.read_text(encoding="utf-8").count("\n") == 2


def test_an_unknown_method_is_said_and_stops(capsys):
    with pytest.raises(SystemExit) as stopped:
        streaks.main(["--methods", "nonsense"])
    assert stopped.value.code == 2
    assert "no method is called 'nonsense'" in capsys.readouterr().err


def test_every_registered_detector_takes_part():
    methods = streak_methods(peers=False)
    assert list(methods) == list(STREAKS.detectors())
    assert all(peer.name in streak_methods() for peer in streak_peers())


def test_cheap_peers_find_a_plain_streak_and_ends_lie_on_it():
    made = paper_frame("b")
    for peer in streak_peers():
        if peer.name not in ("OpenCV LSD", "OpenCV HoughLinesP", "scikit-image Hough"):
            continue
        score = score_streaks(made.frame.truth.segments, peer.find(made.frame.light))
        assert score.recall() == 1.0, peer.name


def test_stars_are_masked_and_streaks_are_not():
    rng = np.random.default_rng(0)
    light = rng.normal(0.0, 1.0, (200, 200)).astype(np.float32)
    y, x = np.mgrid[0:200, 0:200]
    light += 40.0 * np.exp(-0.5 * ((x - 60) ** 2 + (y - 60) ** 2) / 2.0).astype(np.float32)
    cv2.line(light, (100, 120), (180, 150), 15.0, 3)
    mask = star_mask(light)
    assert mask[60, 60]
    assert not mask[135, 140]


def test_the_paper_s_measure_stands_beside_why_it_does_not_judge():
    blind = StreakMethod(name="paper-ga", find=lambda light, mask, saturated: NOTHING)
    page = "\n".join(paper_lines([blind]))
    assert "does not judge" in page
    # It answers nothing and scores like the best row of the paper, 6.7e-04
    assert "| paper-ga | a | – | 8.2e-04 | 6.7e-04 |" in page
    assert paper_figures("radon") is None


def test_real_frames_are_held_against_their_masks(tmp_path: Path):
    picture = np.full((120, 160), 30, np.uint8)
    cv2.line(picture, (20, 30), (140, 90), 200, 3)
    mask = np.zeros_like(picture)
    cv2.line(mask, (20, 30), (140, 90), 255, 5)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    cv2.imwrite(str(tmp_path / "a-mask.png"), mask)
    cv2.imwrite(str(tmp_path / "empty.png"), np.full((120, 160), 30, np.uint8))
    (tmp_path / "broken.png").write_bytes(b"nothing")
    (tmp_path / "index.csv").write_text(
        "file,label_file,label_kind\na.png,a-mask.png,pixel mask\n"
        "empty.png,,image-level: no streak\nbroken.png,,none\nabsent.png,,none\n",
        encoding="utf-8",
    )
    rows = np.array([[20.0, 30.0, 140.0, 90.0, 0.0]])
    always = StreakMethod(
        name="always", find=lambda light, *_: Found(rows=rows, width_px=np.full(1, 3.0))
    )

    def broken(light, *_):
        raise RuntimeError("not made for this")

    methods = [always, StreakMethod(name="broken", find=broken)]
    assert [frame.streaks for frame in real_frames(tmp_path)] == [True, False, None]
    page = "\n".join(real_lines(methods, tmp_path, tmp_path / "pictures"))
    assert "| always | 1 of 1 | 0 in 1 | 0 of 0 | 1 in 1 |" in page
    assert "| broken | 0 of 1 | 0 in 1 | 0 of 0 | 0 in 1 |" in page
    assert "Not read" in page
    assert len(list((tmp_path / "pictures").iterdir())) == 2
    with pytest.raises(FileNotFoundError, match=r"index\.csv"):
        real_frames(tmp_path / "pictures")
