"""Maps are made from Python: the work is heard of by those who listen, and nothing is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from regengine import ConfigError, open_light_map
from regengine.references.make import Listener, build_lights, get_day, get_lights
from tests.conftest import ROOT
from tests.world.services import TileService

SAMPLE = ROOT / "data_samples" / "lights.tif"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where maps go."""
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


def test_a_map_of_ones_own_is_taken_and_heard_of(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    steps: dict[str, tuple[int, int]] = {}
    texts: list[str] = []
    listener = Listener(
        progress=lambda step, done, total: steps.update({step: (done, total)}),
        message=texts.append,
        warning=texts.append,
    )
    bounds = (-153.0, 34.0, -152.0, 35.0)
    out = get_lights(sources=[SAMPLE], bounds=bounds, listener=listener)
    assert out == data / "lights" / "lights.tif"
    assert open_light_map(out).info.bounds == pytest.approx(bounds, abs=0.05)
    assert list(steps) == ["Building", "Indexing"]
    assert all(done == total > 0 for done, total in steps.values())
    assert len(texts) == 2
    assert re.search(r": levels of [\d., ]+ km, [\d,]+ lights at the finest, ", texts[1])
    with pytest.raises(ConfigError, match="exist: replace"):
        get_lights(sources=[SAMPLE])
    assert capfd.readouterr() == ("", "")


def test_without_a_listener_nothing_is_said(
    tiles: TileService, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    built = build_lights([SAMPLE], tmp_path / "part.tif", bounds=(-153, 34, -152, 35))
    assert built.with_name("part.tif.idx").exists()
    out = get_day((11.0, 42.0, 12.0, 43.0), url=tiles.template, level=5)
    assert out == data / "day" / "day.tif"
    assert out.exists()
    assert capfd.readouterr() == ("", "")
