from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tle_lines import Elements

from benchmarks import orbit_uncertainty
from regengine.orbit import load_tle_file


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
