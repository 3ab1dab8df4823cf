"""What the command line says of blind searches."""

from __future__ import annotations

from pathlib import Path

import pytest

from regengine.commands.register import tidied
from regengine.errors import ConfigError
from regengine.orbit.missions import ANY_KM, HIGH_KM
from regengine.registration.index.options import blind_options

INDEX = Path("earth.idx")


def test_blind_alone_means_always() -> None:
    assert tidied(["--blind", "a.jpg"]) == ["--blind=always", "a.jpg"]
    assert tidied(["a.jpg", "--blind"]) == ["a.jpg", "--blind=always"]
    assert tidied(["--blind", "--index", "x"]) == ["--blind=always", "--index", "x"]
    assert tidied(["--blind", "auto", "a.jpg"]) == ["--blind", "auto", "a.jpg"]
    assert tidied(["--blind=auto", "a.jpg"]) == ["--blind=auto", "a.jpg"]
    assert tidied(["--", "--blind", "a.jpg"]) == ["--", "--blind", "a.jpg"]


def test_modes() -> None:
    assert blind_options("never", None, None, None).mode == "never"
    always = blind_options("always", INDEX, "170,-20,-170,10", "ISS030")
    assert always.mode == "always"
    assert always.bounds == (170.0, -20.0, 190.0, 10.0)
    assert always.altitude_km == HIGH_KM
    auto = blind_options("auto", INDEX, None, None)
    assert auto.mode == "auto"
    assert auto.altitude_km == ANY_KM


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("sometimes", INDEX, None, None), "--blind 'sometimes' makes no sense"),
        (("never", None, "0,0,1,1", None), "goes with --blind"),
        (("never", None, None, "ISS030"), "--mission goes with --blind"),
        (("always", INDEX, "1,2,3", None), "--bbox 1,2,3 is no region"),
        (("always", INDEX, "0,10,5,-10", None), "is no region"),
        (("always", INDEX, "a,b,c,d", None), "is no region"),
        (("always", INDEX, None, "STS-60"), "is no mission of the station"),
        (("always", INDEX, None, "0"), "is no mission of the station"),
    ],
)
def test_what_makes_no_sense_is_told(
    given: tuple[str, Path | None, str | None, str | None], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        blind_options(*given)
