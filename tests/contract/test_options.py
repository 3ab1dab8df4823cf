"""What options accept: a value at its limit is taken, one just beyond it is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import regengine
from regengine import ConfigError, FrameError
from tests.world.program import run
from tests.world.runs import ELEMENTS, LIGHTS, SAMPLES

PHOTO = min(SAMPLES.glob("*.jpg"))
REGISTER = ("register", "none.jpg")
DRY = ("register", PHOTO, "--tle", ELEMENTS, "--lights", LIGHTS, "--dry-run")
QUERY = ("frames", "query", "--dry-run")
SATELLITES = ("satellites", "empty.jpg", "--tle", ELEMENTS)
PLACES = (["360,90", "-360,-90"], ["360.1,0", "-360.1,0", "0,90.1", "0,-90.1"])
NAMES = (["x", "n" * 80], ["n" * 81, " "])
# What the command is called with beside the option, the option, what it accepts and what not
OPTIONS: list[tuple[tuple[object, ...], str, list[str], list[str]]] = [
    (REGISTER, "--focal-mm", ["1", "3000"], ["0.999", "3000.1"]),
    (REGISTER, "--pixel-pitch-um", ["0.1", "100"], ["0.0999", "100.1"]),
    (REGISTER, "--altitude-km", ["50", "2000"], ["49.9", "2000.1"]),
    ((*REGISTER, "--centre", "1,2"), "--radius-km", ["1", "2000"], ["0.999", "2000.1"]),
    (REGISTER, "--max-seconds", ["0.1"], ["0.0999"]),
    (REGISTER, "--clock-window", ["0"], ["-0.001"]),
    # The orbit reaches 51.7 degrees, its horizon 73, and the photo shows ground within 100 km
    (DRY, "--nadir", ["-180,-55", "360,55"], ["-180.1,0", "360.1,0", "0,55.1", "0,-55.1"]),
    (DRY, "--centre", ["-180,-73.8", "360,73.8"], ["-180.1,0", "360.1,0", "0,74", "0,-90"]),
    (DRY, "--shard", ["1/1", "1/16", "16/16"], ["0/1", "17/16", "2/1"]),
    (("detect", "stars", "none.jpg"), "--max-side-px", ["64"], ["63"]),
    (("solve", "none.jpg"), "--fov-deg", ["1", "140"], ["0.99", "140.1"]),
    (("solve", "none.jpg"), "--focal-mm", ["1", "3000"], ["0.999", "3000.1"]),
    (("radiometry", "none.h5", "--out", "o"), "--map-sigma-m", ["0", "10000"], ["-0.1", "10000.1"]),
    (("catalogue", "package", "none.parquet", "--out", "o"), "--at", *PLACES),
    (("catalogue", "places", "none.parquet"), "--limit", ["0"], ["-1"]),
    (("catalogue", "changes", "none.parquet"), "--least-days", ["1"], ["0"]),
    (("catalogue", "changes", "none.parquet"), "--limit", ["0"], ["-1"]),
    (("lights", "build", "none.tif", "--out", "x.tif"), "--bbox",
     ["-180,-90,180,90", "170,-20,-170,10", "0,0,360,1"],
     ["0,-90.1,1,0", "0,0,1,90.1", "0,5,1,5", "5,0,5,1", "0,0,360.1,1", "0,1,1,0"]),
    ((*QUERY, "--from", "2012-01-02"), "--to", ["2012-01-02"], ["2012-01-01"]),
    ((*QUERY, "--mission", "ISS030"), "--bbox", ["-180,0,-179,1", "180,0,181,1"],
     ["-180.1,0,-179,1", "180.1,0,181,1"]),
    ((*QUERY, "--mission", "ISS030"), "--focal-mm", ["28,28", "28"], ["28.1,28", "28,inf"]),
    (("review", "none.h5"), "--reviewer", *NAMES),
    (("import", "none.h5", "none.csv"), "--reviewer", *NAMES),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "option", "right", "wrong"),
    OPTIONS,
    ids=[f"{words[0]} {option}" for words, option, _, _ in OPTIONS],
)
def test_an_option_is_taken_to_its_limit_and_refused_beyond(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[object, ...],
    option: str,
    right: list[str],
    wrong: list[str],
) -> None:
    """The inputs are missing: what is taken fails for them alone."""
    monkeypatch.chdir(tmp_path)
    for name in ("none.tif", "empty.jpg"):
        (tmp_path / name).touch()
    for value in right:
        said = run(*words, option, value)
        assert option not in said.err, (value, said.err)
        assert said.code != 2 or "none." in said.err, (value, said.err)
    for value in wrong:
        said = run(*words, option, value)
        named = option in said.err or option.strip("-") in said.err
        assert (said.code, named) == (2, True), (value, said.err)
    assert {path.name for path in tmp_path.iterdir()} == {"none.tif", "empty.jpg"}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("focal_mm", [1.0, 3000.0], [0.999, 3000.1]),
        ("pixel_pitch_um", [0.1, 100.0], [0.0999, 100.1]),
        ("fov_deg", [1.0, 140.0], [0.999, 140.1]),
        ("max_seconds", [0.1, 1e9], [0.0999]),
    ],
)
def test_python_has_the_same_limits(name: str, right: list[float], wrong: list[float]) -> None:
    call: Callable[..., Any] = regengine.solve
    for value in right:
        with pytest.raises(FrameError, match="does not exist"):
            call("none.jpg", **{name: value})
    for value in wrong:
        with pytest.raises(ConfigError, match=f"{name}={value} is out of range: give at least "):
            call("none.jpg", **{name: value})
