from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tle_lines import Elements

from benchmarks import __main__ as launcher
from benchmarks import orbit_uncertainty
from regengine.orbit.tle import load_tle_file


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Sets twice a day; each second one late by 0.1 degrees (12 km) and 0.01 degrees beside."""
    base = Elements(epoch=datetime(2016, 1, 1, tzinfo=UTC))
    sets = [base.later(0.5 * step) for step in range(90)]
    sets[1::2] = [
        replace(one, anomaly_deg=one.anomaly_deg + 0.1, node_deg=one.node_deg + 0.01)
        for one in sets[1::2]
    ]
    folder = tmp_path / "orbit"
    folder.mkdir()
    (folder / "iss_tles.txt").write_text("".join(one.text() for one in sets))
    return tmp_path


def test_it_measures_what_was_built_in(archive):
    tles = load_tle_file(archive / "orbit" / "iss_tles.txt")
    pairs = orbit_uncertainty.differences(tles, np.ones(len(tles), bool), seed=1)
    other_kind = np.round(2.0 * np.abs(pairs[:, 0])) % 2 == 1
    size = np.abs(pairs[:, 1:])
    np.testing.assert_allclose(size[other_kind, 0], 12.6, atol=1.5)  # 0.1 degrees and the node's
    assert np.median(size[~other_kind], axis=0).max() < 0.2
    # 0.01 degrees of node: a plane turned by 0.01 sin(51.6) degrees, 0.93 km at its widest.
    assert 0.8 < size[other_kind, 1].max() < 1.1
    assert size[:, 2].max() < 0.5


def test_it_tells_on_which_side_the_station_was(archive):
    """Every second set has it 12 km too far ahead: it was behind, and ahead of the others."""
    tles = load_tle_file(archive / "orbit" / "iss_tles.txt")
    pairs = orbit_uncertainty.differences(tles, np.ones(len(tles), bool), seed=1)
    _, found = orbit_uncertainty.signed_quantiles(pairs)[0.5]
    levels = dict(zip(orbit_uncertainty.SIGNED_QUANTILES, found, strict=True))
    assert levels[0.1] == pytest.approx(-12.6, abs=1.5)
    assert levels[0.9] == pytest.approx(12.6, abs=1.5)


def test_it_tells_what_of_a_sets_own_drag_is_so(tmp_path):
    """One set of an orbit under usual drag has forty times as much: all of the shift is so."""
    base = Elements(epoch=datetime(2016, 1, 1, tzinfo=UTC), drag=" 21000-3")
    sets = [base.later(float(day)) for day in range(9)]
    sets[4] = replace(sets[4], drag=" 84000-2")
    path = tmp_path / "sets.txt"
    path.write_text("".join(one.text() for one in sets))
    tles = load_tle_file(path)
    pairs = orbit_uncertainty.drag_pairs(tles, np.ones(len(tles), bool), seed=1)
    assert len(pairs) >= 3
    assert (pairs[:, 0] < -300.0).all()
    np.testing.assert_allclose(pairs[:, 1] / pairs[:, 0], 1.0, atol=0.15)
    lines = orbit_uncertainty.drag_section(tles, np.ones(len(tles), bool), 1)
    assert any(line.startswith("| 300 to 800 |") or "| 800 to" in line for line in lines)


def test_the_report_is_written(archive, capsys):
    out = archive / "result.md"
    assert orbit_uncertainty.main(["--real", str(archive), "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert text == capsys.readouterr().out
    assert "90 ISS element sets from 2016-01-01 to 2016-02-14" in text
    assert "| +1 |" in text
    assert "| -1 |" in text


def test_benchmarks_are_found_by_being_there(tmp_path):
    assert launcher.available()["orbit-uncertainty"].startswith("How far element sets lead astray")
    (tmp_path / "some_thing.py").write_text('"""Says this.\n\nMore."""\ndef main(argv): ...\n')
    (tmp_path / "helper.py").write_text('"""No benchmark."""\n')
    (tmp_path / "_private.py").write_text("def main(argv): ...\n")
    package = tmp_path / "big_one"
    package.mkdir()
    (package / "__init__.py").write_text('"""A package."""\ndef main(argv): ...\n')
    assert launcher.available(tmp_path) == {"big-one": "A package.", "some-thing": "Says this."}


def test_the_launcher(capsys, archive):
    assert launcher.main([]) == 0
    assert "orbit-uncertainty" in capsys.readouterr().err
    assert launcher.main(["nonsense"]) == 2
    assert "no benchmark is called 'nonsense'" in capsys.readouterr().err
    assert launcher.main(["orbit-uncertainty", "--real", str(archive)]) == 0
    assert capsys.readouterr().out.startswith("# Error of a propagated element set")
